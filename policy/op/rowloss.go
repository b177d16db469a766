package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RowFunc is a loss as plain arithmetic. in holds some vectors [N] of the N tokens of a batch, d as many of the same lengths, all 0. It
// returns the loss and leaves the derivative in each element of in at its place in d.
type RowFunc func(in, d [][]float64) float64

// RowLoss is the scalar f of vectors [capacity], computed in float64: the end of a graph. f sees the rows of the batch alone, and what it
// leaves of d at 0 gets no gradient, even where the row is NaN.
func RowLoss(p *Pack, f RowFunc, x ...*gorgonia.Node) (*gorgonia.Node, error) {
	for _, n := range x {
		if err := expect("row loss", "input", n, p.capacity); err != nil {
			return nil, err
		}
	}
	in, d := make([][]float64, len(x)), make([][]float64, len(x))
	for i := range x {
		in[i], d[i] = make([]float64, p.capacity), make([]float64, p.capacity)
	}
	rows := func(of [][]float64) [][]float64 {
		out := make([][]float64, len(of))
		for i := range of {
			out[i] = of[i][:p.rows()]
		}
		return out
	}
	return p.add(&operator{
		name: "row loss", out: tensor.ScalarShape(),
		run: func(out []float32, from [][]float32) {
			for i := range in {
				for j, v := range from[i][:p.rows()] {
					in[i][j] = float64(v)
				}
				clear(d[i])
			}
			out[0] = float32(f(rows(in), rows(d)))
		},
		diff: func(x gorgonia.Nodes, loss, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			nodes := make(gorgonia.Nodes, len(x))
			for i := range x {
				var err error
				// The loss is an input, so that it has run before.
				nodes[i], err = p.add(&operator{
					name: "row loss.grad", out: x[i].Shape(),
					run: func(out []float32, from [][]float32) {
						for j, v := range d[i] {
							out[j] = float32(v * float64(from[1][0]))
						}
					},
				}, loss, grad)
				if err != nil {
					return nil, err
				}
			}
			return nodes, nil
		},
	}, x...)
}
