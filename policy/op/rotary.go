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
	forward, backward := newTurning(p, h, false), newTurning(p, h, true)
	return p.add(&operator{
		name: "rotate", out: packed.Shape(),
		run: func(out []float32, in [][]float32) { forward.turn(out, in[0]) },
		diff: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "rotate.grad", out: grad.Shape(),
				run: func(out []float32, in [][]float32) { backward.turn(out, in[0]) },
			}, grad)
			return gorgonia.Nodes{d}, err
		},
	}, packed)
}

// turning is a rotation with its arguments, and the function over rows that is made of them once.
type turning struct {
	p       *Pack
	heads   Heads
	back    bool
	out, in []float32
	rows    func(lo, hi int)
}

func newTurning(p *Pack, h Heads, back bool) *turning {
	t := &turning{p: p, heads: h, back: back}
	t.rows = t.turnRows
	return t
}

func (t *turning) turn(out, in []float32) {
	t.out, t.in = out, in
	t.p.set.Parallel(t.p.rows(), rotaryGrain, t.rows)
}

func (t *turning) turnRows(lo, hi int) {
	h := t.heads
	width, turned := h.width(), (h.Query+h.Key)*h.Dim
	copy(t.out[lo*width:hi*width], t.in[lo*width:])
	for i := lo; i < hi; i++ {
		row, position := t.out[i*width:i*width+turned], int(t.p.seq.Positions[i])
		if t.back {
			h.Rotary.Unrotate(t.p.set, row, position)
		} else {
			h.Rotary.Rotate(t.p.set, row, position)
		}
	}
}
