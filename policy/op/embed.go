package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Embed looks the tokens up: table is [V, D], the result [N, D].
func Embed(p *Pack, table *gorgonia.Node) (*gorgonia.Node, error) {
	width := table.Shape()[1]
	return p.add(&operator{
		name: "embed", out: tensor.Shape{p.capacity, width},
		run: func(out []float32, in [][]float32) { p.set.Embed(out, in[0], p.seq.Tokens, width) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "embed.grad", out: in[0].Shape(), adds: true,
				run: func(out []float32, in [][]float32) { p.set.EmbedGrad(out, in[0], p.seq.Tokens, width) },
			}, grad)
			return gorgonia.Nodes{d}, err
		},
	}, table)
}
