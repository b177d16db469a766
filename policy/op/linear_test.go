package op_test

import (
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestLinear(t *testing.T) {
	t.Parallel()
	x, w := poison(normal(rng("x"), capacity, 7)), normal(rng("w"), 5, 7)
	c := build(t, []*tensor.Dense{x, w}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Linear(p, in[0], in[1])
	})
	c.checkGradients()
	var want []float64
	for i := range 19 {
		for o := range 5 {
			sum := 0.0
			for k := range 7 {
				sum += at(x, i, k) * at(w, o, k)
			}
			want = append(want, sum)
		}
	}
	near(t, want, c.result())
}
