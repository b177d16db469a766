package op_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestSwiGLU(t *testing.T) {
	t.Parallel()
	x := poison(normal(rng("x"), capacity, 10))
	c := build(t, []*tensor.Dense{x}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.SwiGLU(p, in[0])
	})
	c.checkGradients()
	var want []float64
	for i := range 19 {
		for j := range 5 {
			want = append(want, at(x, i, j)/(1+math.Exp(-at(x, i, j)))*at(x, i, j+5))
		}
	}
	near(t, want, c.result())
}
