package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Linear is x times weight transposed: x is [N, in], weight [out, in], the result [N, out].
func Linear(p *Pack, x, weight *gorgonia.Node) (*gorgonia.Node, error) {
	if err := expect("linear", "x", x, p.capacity, weight.Shape()[1]); err != nil {
		return nil, err
	}
	l := linear{p, weight.Shape()[0], weight.Shape()[1], 1}
	return p.add(&operator{
		name: "linear", out: tensor.Shape{p.capacity, l.out},
		run: func(out []float32, in [][]float32) { l.forward(out, in[0], in[1]) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			return l.gradients(in[0], in[1], grad)
		},
	}, x, weight)
}

// linear is the arithmetic of alpha * x * weight'.
type linear struct {
	p       *Pack
	out, in int
	alpha   float32
}

// forward is y = alpha * x * weight'.
func (l linear) forward(y, x, weight []float32) { l.forwardRows(l.p.rows(), y, x, weight) }

// forwardRows is forward for n rows.
func (l linear) forwardRows(n int, y, x, weight []float32) {
	l.p.set.MatMul(kernel.Product{
		TransB: true, M: n, N: l.out, K: l.in, Alpha: l.alpha, LDA: l.in, LDB: l.in, LDC: l.out,
	}, x, weight, y)
}

// forwardAdd is y = residual + x * weight'.
func (l linear) forwardAdd(y, residual, x, weight []float32) {
	copy(y, residual[:l.p.rows()*l.out])
	l.p.set.MatMul(kernel.Product{
		TransB: true, M: l.p.rows(), N: l.out, K: l.in, Alpha: 1, Beta: 1, LDA: l.in, LDB: l.in, LDC: l.out,
	}, x, weight, y)
}

// backward is dx = alpha * dy * weight.
func (l linear) backward(dx, dy, weight []float32) { l.backwardRows(l.p.rows(), dx, dy, weight) }

// backwardRows is backward for n rows.
func (l linear) backwardRows(n int, dx, dy, weight []float32) {
	l.p.set.MatMul(kernel.Product{
		M: n, N: l.in, K: l.out, Alpha: l.alpha, LDA: l.out, LDB: l.in, LDC: l.in,
	}, dy, weight, dx)
}

// gradients adds the nodes for x and for weight.
func (l linear) gradients(x, weight, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	dx, err := l.inputGrad(x, weight, grad)
	if err != nil {
		return nil, err
	}
	dw, err := l.weightGrad(x, weight, grad)
	return gorgonia.Nodes{dx, dw}, err
}

// inputGrad adds the node of backward.
func (l linear) inputGrad(x, weight, grad *gorgonia.Node) (*gorgonia.Node, error) {
	return l.p.add(&operator{
		name: "linear.grad.x", out: x.Shape(),
		run: func(out []float32, in [][]float32) { l.backward(out, in[1], in[0]) },
	}, weight, grad)
}

// addWeightGrad is dweight += alpha * dy' * x, sequence by sequence: how a step is cut into batches changes no bit of it.
func (l linear) addWeightGrad(dweight, dy, x []float32) {
	l.addWeightGradRows(l.p.seq.Starts, dweight, dy, x)
}

// addWeightGradRows is addWeightGrad for the rows of some sequences, which start at starts.
func (l linear) addWeightGradRows(starts []int32, dweight, dy, x []float32) {
	l.p.set.MatMul(kernel.Product{
		TransA: true, M: l.out, N: l.in, K: int(starts[len(starts)-1]), Alpha: l.alpha, Beta: 1,
		LDA: l.out, LDB: l.in, LDC: l.in, Starts: starts,
	}, dy, x, dweight)
}

// weightGrad adds the node of addWeightGrad.
func (l linear) weightGrad(x, weight, grad *gorgonia.Node) (*gorgonia.Node, error) {
	return l.p.add(&operator{
		name: "linear.grad.weight", out: weight.Shape(), adds: true,
		run: func(out []float32, in [][]float32) { l.addWeightGrad(out, in[1], in[0]) },
	}, x, grad)
}
