package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// scoreGrain is the number of rows in one piece of work.
const scoreGrain = 32

// Score is the output layer with its softmax: logits = x * table' / temperature, x [N, D], table [V, D]. It gives two vectors [N]: the
// log-probability of each row's target and the entropy of its distribution, in nats. Both are 0 in rows without a target and
// beyond the sequences, and a gradient for such a row is ignored, even NaN.
func Score(p *Pack, x, table *gorgonia.Node, temperature float32) (logp, entropy *gorgonia.Node, err error) {
	s := &score{
		p: p, vocab: table.Shape()[0],
		linear: linear{p, table.Shape()[0], table.Shape()[1], 1 / temperature},
		found:  make([]kernel.Distribution, p.capacity),
	}
	if err := expect("score", "x", x, p.capacity, table.Shape()[1]); err != nil {
		return nil, nil, err
	}
	both, err := p.add(&operator{
		name: "score", out: tensor.Shape{2, p.capacity}, run: s.forward, diff: s.diff,
	}, x, table)
	if err != nil {
		return nil, nil, err
	}
	if logp, err = row(p, both, 0); err != nil {
		return nil, nil, err
	}
	entropy, err = row(p, both, 1)
	return logp, entropy, err
}

// score is the state that the operator shares with its gradient.
type score struct {
	p      *Pack
	vocab  int
	linear linear
	// logits is [N, V]; the backward pass turns it into the gradient for itself.
	logits []float32
	found  []kernel.Distribution
}

func (s *score) forward(out []float32, in [][]float32) {
	if s.logits == nil {
		s.logits = s.p.memory(s.p.capacity * s.vocab)
	}
	s.linear.forward(s.logits, in[0], in[1])
	clear(out)
	logp, entropy := out[:s.p.capacity], out[s.p.capacity:]
	s.p.set.Parallel(s.p.rows(), scoreGrain, func(lo, hi int) {
		buffer := s.p.set.Borrow(s.vocab)
		defer s.p.set.Release(buffer)
		weights := *buffer
		for i := lo; i < hi; i++ {
			target := s.p.seq.Targets[i]
			if target < 0 {
				continue
			}
			z := s.logits[i*s.vocab : (i+1)*s.vocab]
			s.found[i] = s.p.set.Distribute(z, weights)
			logp[i], entropy[i] = z[target]-s.found[i].LogSum, s.found[i].Entropy()
		}
	})
}

// diff goes through the gradient for the logits, from which those for x and the table are products.
func (s *score) diff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if s.logits == nil {
		s.logits = s.p.memory(s.p.capacity * s.vocab)
	}
	dlogits, err := s.p.add(&operator{
		name: "score.grad.logits", out: tensor.Shape{s.p.capacity, s.vocab}, run: s.backward, backing: s.logits,
	}, out, grad)
	if err != nil {
		return nil, err
	}
	return s.linear.gradients(in[0], in[1], dlogits)
}

// backward turns the logits into their own gradient.
func (s *score) backward(_ []float32, in [][]float32) {
	dlogp, dentropy := in[1][:s.p.capacity], in[1][s.p.capacity:]
	s.p.set.Parallel(s.p.rows(), scoreGrain, func(lo, hi int) {
		buffer := s.p.set.Borrow(s.vocab)
		defer s.p.set.Release(buffer)
		weights := *buffer
		for i := lo; i < hi; i++ {
			z := s.logits[i*s.vocab : (i+1)*s.vocab]
			target := s.p.seq.Targets[i]
			if target < 0 || (dlogp[i] == 0 && dentropy[i] == 0) {
				clear(z)
				continue
			}
			s.p.set.DistributeGrad(z, weights, s.found[i], int(target), dlogp[i], dentropy[i])
		}
	})
}

// row takes row i of a matrix, as a vector; the gradient is 0 elsewhere.
func row(p *Pack, matrix *gorgonia.Node, i int) (*gorgonia.Node, error) {
	width := matrix.Shape()[1]
	return p.add(&operator{
		name: "row", out: tensor.Shape{width},
		run: func(out []float32, in [][]float32) { copy(out, in[0][i*width:]) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			d, err := p.add(&operator{
				name: "row.grad", out: in[0].Shape(),
				run: func(out []float32, in [][]float32) {
					clear(out)
					copy(out[i*width:(i+1)*width], in[0])
				},
			}, grad)
			return gorgonia.Nodes{d}, err
		},
	}, matrix)
}
