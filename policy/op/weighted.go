package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Weights are the factors of a [WeightedSum], filled by their owner before each run.
type Weights struct {
	// Data is row-major over the first rows of x; elements of x beyond it count nothing.
	Data []float32
}

// WeightedSum is the scalar sum over w*x, x of any shape: the end of a graph, summed in float64. Where a weight is 0, x counts nothing,
// even NaN.
func WeightedSum(p *Pack, x *gorgonia.Node, w *Weights) (*gorgonia.Node, error) {
	return p.add(&operator{
		name: "weighted sum", out: tensor.ScalarShape(),
		run: func(out []float32, in [][]float32) {
			sum := 0.0
			for i, f := range w.Data {
				if f != 0 {
					sum += float64(f) * float64(in[0][i])
				}
			}
			out[0] = float32(sum)
		},
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "weighted sum.grad", out: in[0].Shape(),
				run: func(out []float32, in [][]float32) {
					clear(out[len(w.Data):])
					for i, f := range w.Data {
						out[i] = f * in[0][0]
					}
				},
			}, grad)
			return gorgonia.Nodes{d}, err
		},
	}, x)
}
