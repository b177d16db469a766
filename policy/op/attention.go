package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Attention is causal grouped-query attention within each sequence and the window of h. packed is [N, (Query+2*Key)*Dim],
// rows of queries, keys and values, already rotated; the result is [N, Query*Dim].
func Attention(p *Pack, packed *gorgonia.Node, h Heads) (*gorgonia.Node, error) {
	if err := expect("attention", "packed rows", packed, p.capacity, h.width()); err != nil {
		return nil, err
	}
	shape := func() kernel.Attention {
		return kernel.Attention{Heads: h.Query, KVHeads: h.Key, HeadDim: h.Dim, Window: h.Window, Starts: p.seq.Starts}
	}
	lse := p.memory(p.capacity * h.Query)
	return p.add(&operator{
		name: "attention", out: tensor.Shape{p.capacity, h.Query * h.Dim},
		run: func(out []float32, in [][]float32) { p.set.Attend(shape(), out, lse, in[0]) },
		diff: func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "attention.grad", out: in[0].Shape(),
				run: func(out []float32, in [][]float32) {
					p.set.AttendGrad(shape(), kernel.AttentionGrad{DPacked: out, DOut: in[2], Out: in[1], LSE: lse, Packed: in[0]})
				},
			}, in[0], out, grad)
			return gorgonia.Nodes{d}, err
		},
	}, packed)
}
