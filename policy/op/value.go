package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// valueGrain is the number of rows in one piece of work.
const valueGrain = 256

// Value is the value head: x [N, D] times weight [D] plus bias [1], a vector [N], 0 beyond the sequences. Where it is detached, x gets no
// gradient through it: the head learns to read the policy's states and does not bend them.
func Value(p *Pack, x, weight, bias *gorgonia.Node, detached bool) (*gorgonia.Node, error) {
	width := weight.Shape()[0]
	if err := expect("value", "x", x, p.capacity, width); err != nil {
		return nil, err
	}
	if err := expect("value", "bias", bias, 1); err != nil {
		return nil, err
	}
	var now struct {
		out []float32
		in  [][]float32
	}
	rows := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			now.out[i] = p.set.Dot(now.in[0][i*width:(i+1)*width], now.in[1]) + now.in[2][0]
		}
	}
	return p.add(&operator{
		name: "value", out: tensor.Shape{p.capacity},
		run: func(out []float32, in [][]float32) {
			clear(out[p.rows():])
			now.out, now.in = out, in
			p.set.Parallel(p.rows(), valueGrain, rows)
		},
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			return valueGrad(p, in, grad, detached)
		},
	}, x, weight, bias)
}

func valueGrad(p *Pack, in gorgonia.Nodes, grad *gorgonia.Node, detached bool) (gorgonia.Nodes, error) {
	width := in[1].Shape()[0]
	var now struct {
		out []float32
		in  [][]float32
	}
	rows := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d := now.out[i*width : (i+1)*width]
			copy(d, now.in[0])
			p.set.Scale(now.in[1][i], d)
		}
	}
	dx, err := p.add(&operator{
		name: "value.grad.x", out: in[0].Shape(),
		run: func(out []float32, in [][]float32) {
			if detached {
				clear(out)
				return
			}
			now.out, now.in = out, in
			p.set.Parallel(p.rows(), valueGrain, rows)
		},
	}, in[1], grad)
	if err != nil {
		return nil, err
	}
	dw, err := p.add(&operator{
		name: "value.grad.weight", out: in[1].Shape(), adds: true,
		run: func(out []float32, in [][]float32) { linear{p, 1, width, 1}.addWeightGrad(out, in[1], in[0]) },
	}, in[0], grad)
	if err != nil {
		return nil, err
	}
	db, err := p.add(&operator{
		name: "value.grad.bias", out: tensor.Shape{1}, adds: true,
		run: func(out []float32, in [][]float32) {
			for b, from := range p.seq.Starts[:len(p.seq.Starts)-1] {
				out[0] += p.set.Sum(in[0][from:p.seq.Starts[b+1]])
			}
		},
	}, grad)
	return gorgonia.Nodes{dx, dw, db}, err
}
