package op

import (
	"fmt"

	"github.com/hone-rl/hone"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SwiGLU is silu(gate) * up: gateUp is [N, 2*F], the gate first, the result [N, F]. A multiple of N rows will do too.
func SwiGLU(p *Pack, gateUp *gorgonia.Node) (*gorgonia.Node, error) {
	hidden := gateUp.Shape()[1] / 2
	if gateUp.Shape()[1] != 2*hidden {
		return nil, fmt.Errorf("operator swiglu: rows of %d, want an even number: %w", gateUp.Shape()[1], hone.ErrInvalid)
	}
	total := gateUp.Shape()[0]
	used := func() int { return total / p.capacity * p.rows() * hidden }
	return p.add(&operator{
		name: "swiglu", out: tensor.Shape{total, hidden},
		run: func(out []float32, in [][]float32) { p.set.SwiGLU(out[:used()], in[0], hidden) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "swiglu.grad", out: in[0].Shape(),
				run: func(out []float32, in [][]float32) { p.set.SwiGLUGrad(out, in[0], in[1][:used()], hidden) },
			}, in[0], grad)
			return gorgonia.Nodes{d}, err
		},
	}, gateUp)
}
