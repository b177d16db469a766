package op

import "gorgonia.org/gorgonia"

// Residual is x + f(norm(x)): rows that go around what they are normalised for. The gradients of both ways are added where the
// norm's is made, in one pass. Norm is called once, then LinearAdd once.
type Residual struct {
	p *Pack
	// x is [N, D].
	x *gorgonia.Node
	// grad is the gradient for the sum, which is the one that comes around; known once that has been differentiated.
	grad *gorgonia.Node
}

// NewResidual begins at x, [N, D].
func NewResidual(p *Pack, x *gorgonia.Node) *Residual { return &Residual{p: p, x: x} }

// Norm is RMSNorm of x.
func (r *Residual) Norm(weight *gorgonia.Node, eps float32) (*gorgonia.Node, error) {
	return norm(r.p, r.x, weight, eps, r)
}

// LinearAdd is x plus Linear(h, weight).
func (r *Residual) LinearAdd(h, weight *gorgonia.Node) (*gorgonia.Node, error) {
	l := linear{r.p, weight.Shape()[0], weight.Shape()[1], 1}
	if err := expect("residual", "x", h, r.p.capacity, l.in); err != nil {
		return nil, err
	}
	if err := expect("residual", "residual", r.x, r.p.capacity, l.out); err != nil {
		return nil, err
	}
	return r.p.add(&operator{
		name: "linear.add", out: r.x.Shape(), fixed: 1,
		run: func(out []float32, in [][]float32) { l.forwardAdd(out, in[0], in[1], in[2]) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			r.grad = grad
			ds, err := l.gradients(in[1], in[2], grad)
			return append(gorgonia.Nodes{nil}, ds...), err
		},
	}, r.x, h, weight)
}
