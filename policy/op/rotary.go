package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
)

// rotaryGrain is the number of rows in one piece of work.
const rotaryGrain = 128

// Heads is the shape of an attention layer and its table of rotations.
type Heads struct {
	// Query and Key are the numbers of query heads and of key (and value) heads; Dim is the length of each.
	Query, Key, Dim int
	// Window is the number of tokens that each one attends to, itself included; 0 means all.
	Window int
	// Rotary has the positions of the context.
	Rotary *kernel.Rotary
}

// width is the length of a packed row of queries, keys and values.
func (h Heads) width() int { return (h.Query + 2*h.Key) * h.Dim }

// Rotate turns the queries and keys of packed rows, [N, (Query+2*Key)*Dim], to their positions; the values stay.
func Rotate(p *Pack, packed *gorgonia.Node, h Heads) (*gorgonia.Node, error) {
	if err := expect("rotate", "packed rows", packed, p.capacity, h.width()); err != nil {
		return nil, err
	}
	return p.add(&operator{
		name: "rotate", out: packed.Shape(),
		run: func(out []float32, in [][]float32) { turn(p, h, out, in[0], false) },
		diff: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "rotate.grad", out: grad.Shape(),
				run: func(out []float32, in [][]float32) { turn(p, h, out, in[0], true) },
			}, grad)
			return gorgonia.Nodes{d}, err
		},
	}, packed)
}

func turn(p *Pack, h Heads, out, in []float32, back bool) {
	width, turned := h.width(), (h.Query+h.Key)*h.Dim
	p.set.Parallel(p.rows(), rotaryGrain, func(lo, hi int) {
		copy(out[lo*width:hi*width], in[lo*width:])
		for i := lo; i < hi; i++ {
			row, position := out[i*width:i*width+turned], int(p.seq.Positions[i])
			if back {
				h.Rotary.Unrotate(p.set, row, position)
			} else {
				h.Rotary.Rotate(p.set, row, position)
			}
		}
	})
}
