package op_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestResidual(t *testing.T) {
	t.Parallel()
	const eps = 1e-3
	x, g, w := poison(normal(rng("x"), capacity, 5)), normal(rng("g"), 5), normal(rng("w"), 5, 5)
	c := build(t, []*tensor.Dense{x, g, w}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		r := op.NewResidual(p, in[0])
		h, err := r.Norm(in[1], eps)
		if err != nil {
			return nil, err
		}
		return r.LinearAdd(h, in[2])
	})
	c.checkGradients()
	var want []float64
	for i := range 19 {
		square := 0.0
		for k := range 5 {
			square += at(x, i, k) * at(x, i, k) / 5
		}
		for o := range 5 {
			sum := at(x, i, o)
			for k := range 5 {
				sum += at(x, i, k) / math.Sqrt(square+eps) * float64(g.Float32s()[k]) * at(w, o, k)
			}
			want = append(want, sum)
		}
	}
	near(t, want, c.result())
}
