package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// RMSNorm divides each row of x, [N, D], by its root mean square and scales it by weight, [D]. eps is added to the mean square.
func RMSNorm(p *Pack, x, weight *gorgonia.Node, eps float32) (*gorgonia.Node, error) {
	return norm(p, x, weight, eps, new(Residual))
}

// norm is RMSNorm at the start of a residual.
func norm(p *Pack, x, weight *gorgonia.Node, eps float32, r *Residual) (*gorgonia.Node, error) {
	width := weight.Shape()[0]
	if err := expect("norm", "x", x, p.capacity, width); err != nil {
		return nil, err
	}
	rstd := p.memory(p.capacity)
	return p.add(&operator{
		name: "norm", out: x.Shape(),
		run: func(out []float32, in [][]float32) {
			used := p.rows() * width
			p.set.RMSNorm(kernel.Norm{Weight: in[1], Eps: eps}, out[:used], in[0][:used], rstd)
		},
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			return normGrad(p, append(in, grad), r.grad, rstd)
		},
	}, x, weight)
}

// normGrad computes both gradients, given x, the weight and the gradient for the result, in the operator for x, which adds what comes
// around; that for the weight takes x's as an input, which orders them, and sums what the first has left for it, sequence by sequence.
func normGrad(p *Pack, in gorgonia.Nodes, around *gorgonia.Node, rstd []float32) (gorgonia.Nodes, error) {
	width := in[1].Shape()[0]
	var dweight []float32
	if around != nil {
		in = append(in, around)
	}
	dx, err := p.add(&operator{
		name: "norm.grad.x", out: in[0].Shape(),
		run: func(out []float32, in [][]float32) {
			used := p.rows() * width
			if need := (len(p.seq.Starts) - 1) * width; len(dweight) < need {
				dweight = p.memory(need)
			}
			g := kernel.NormGrad{DX: out[:used], DWeight: dweight, Starts: p.seq.Starts, DY: in[2][:used], X: in[0][:used], Rstd: rstd}
			if len(in) > 3 {
				g.Skip = in[3][:used]
			}
			p.set.RMSNormGrad(kernel.Norm{Weight: in[1]}, g)
		},
	}, in...)
	if err != nil {
		return nil, err
	}
	dw, err := p.add(&operator{
		name: "norm.grad.weight", out: tensor.Shape{width}, adds: true,
		run: func(out []float32, _ [][]float32) {
			for sums := dweight[:(len(p.seq.Starts)-1)*width]; len(sums) > 0; sums = sums[width:] {
				p.set.Add(sums[:width], out)
			}
		},
	}, dx)
	return gorgonia.Nodes{dx, dw}, err
}
