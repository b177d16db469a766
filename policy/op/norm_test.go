package op_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestRMSNorm(t *testing.T) {
	t.Parallel()
	const eps = 1e-3
	x, w := poison(normal(rng("x"), capacity, 6)), normal(rng("w"), 6)
	c := build(t, []*tensor.Dense{x, w}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.RMSNorm(p, in[0], in[1], eps)
	})
	c.checkGradients()
	var want []float64
	for i := range 19 {
		square := 0.0
		for j := range 6 {
			square += at(x, i, j) * at(x, i, j) / 6
		}
		for j := range 6 {
			want = append(want, at(x, i, j)/math.Sqrt(square+eps)*float64(w.Float32s()[j]))
		}
	}
	near(t, want, c.result())
}
