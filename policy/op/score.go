package op

import (
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// scoreGrain is the number of rows in one piece of work.
const scoreGrain = 32

// maxLogits bounds the logits that are in memory at once, 128 MB, if they are of kernel.Run rows at least.
const maxLogits = 1 << 25

// Score is the output layer with its softmax: logits = x * table' / temperature, x [N, D], table [V, D]. It gives two vectors [N]: the
// log-probability of each row's target and the entropy of its distribution, in nats. Both are 0 in rows without a target and
// beyond the sequences, and a gradient for such a row is ignored, even NaN. Logits are computed for rows with a target alone.
//
// Where the vocabulary is large, [N, V] is never in memory: some rows are done at a time, and the backward pass computes their logits
// once more.
func Score(p *Pack, x, table *gorgonia.Node, temperature float32) (logp, entropy *gorgonia.Node, err error) {
	return scoreChunks(p, x, table, temperature, maxLogits)
}

func scoreChunks(p *Pack, x, table *gorgonia.Node, temperature float32, most int) (logp, entropy *gorgonia.Node, err error) {
	vocab := table.Shape()[0]
	s := &score{
		p: p, vocab: vocab, linear: linear{p, vocab, table.Shape()[1], 1 / temperature},
		found: make([]kernel.Distribution, p.capacity), rows: min(p.capacity, max(kernel.Run, most/vocab)),
	}
	s.distributeRows, s.slopeRows = s.distribute, s.slopes
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

// score is the state that the operator shares with its gradient. n is the number of scored rows.
type score struct {
	p      *Pack
	vocab  int
	linear linear
	scored scored
	// x is [n, D], the scored rows; the backward pass writes the gradient for them over it.
	x []float32
	// rows is the most rows of a chunk, logits is [rows, V]; the backward pass turns it into the gradient for itself.
	rows   int
	logits []float32
	found  []kernel.Distribution
	// chunks are those of the run, starts a buffer.
	chunks []chunk
	starts []int32
	// now is the chunk that is worked on, and the log-probabilities and entropies of its rows or the gradients for these; distributeRows
	// and slopeRows are the functions over its rows that read it.
	now struct {
		chunk

		logp, entropy []float32
	}
	distributeRows, slopeRows func(lo, hi int)
}

// cut finds the rows of the run and cuts them into chunks.
func (s *score) cut(x []float32) {
	s.scored.find(s.p.seq)
	s.chunks = s.scored.chunks(s.chunks[:0], s.rows)
	if s.logits == nil {
		s.logits, s.x = s.p.memory(s.rows*s.vocab), s.p.memory(s.p.capacity*s.linear.in)
	}
	s.scored.gather(s.x, x, s.linear.in)
}

// multiply fills the logits of a chunk.
func (s *score) multiply(c chunk, table []float32) {
	s.linear.forwardRows(c.hi-c.lo, s.logits, s.x[c.lo*s.linear.in:], table)
}

func (s *score) forward(out []float32, in [][]float32) {
	s.cut(in[0])
	clear(out)
	for _, c := range s.chunks {
		s.multiply(c, in[1])
		s.each(c, out, s.distributeRows)
	}
}

// each calls f for the rows of a chunk.
func (s *score) each(c chunk, both []float32, f func(lo, hi int)) {
	s.now.chunk, s.now.logp, s.now.entropy = c, both[:s.p.capacity], both[s.p.capacity:]
	s.p.set.Parallel(c.hi-c.lo, scoreGrain, f)
}

// distribute reads the logits of some rows.
func (s *score) distribute(lo, hi int) {
	buffer := s.p.set.Borrow(s.vocab)
	defer s.p.set.Release(buffer)
	for j := lo; j < hi; j++ {
		i := s.scored.at[s.now.lo+j]
		z := s.logits[j*s.vocab : (j+1)*s.vocab]
		s.found[i] = s.p.set.Distribute(z, *buffer)
		s.now.logp[i], s.now.entropy[i] = z[s.p.seq.Targets[i]]-s.found[i].LogSum, s.found[i].Entropy()
	}
}

// diff makes one operator for both gradients, chunk by chunk: that for x, which it gives, and that for the table, which it adds to
// the memory of another operator.
func (s *score) diff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	table := &operator{name: "score.grad.table", out: in[1].Shape(), adds: true, kept: true, run: func([]float32, [][]float32) {}}
	dx, err := s.p.add(&operator{
		name: "score.grad.x", out: in[0].Shape(),
		run: func(dx []float32, in [][]float32) { s.backward(dx, table.memory(), in) },
	}, in[0], in[1], out, grad)
	if err != nil {
		return nil, err
	}
	dtable, err := s.p.add(table, dx)
	return gorgonia.Nodes{dx, dtable}, err
}

// backward is given x, the table, what forward gave and the gradient for that.
func (s *score) backward(dx, dtable []float32, in [][]float32) {
	table, grad := in[1], in[3]
	width := s.linear.in
	for _, c := range s.chunks {
		if len(s.chunks) > 1 {
			s.multiply(c, table)
		}
		s.each(c, grad, s.slopeRows)
		x := s.x[c.lo*width:]
		s.starts = s.scored.starts(s.starts[:0], c)
		s.linear.addWeightGradRows(s.starts, dtable, s.logits, x)
		s.linear.backwardRows(c.hi-c.lo, x, s.logits, table)
	}
	s.scored.scatter(dx[:s.p.rows()*width], s.x, width)
}

// slopes turns the logits of some rows into their own gradient.
func (s *score) slopes(lo, hi int) {
	buffer := s.p.set.Borrow(s.vocab)
	defer s.p.set.Release(buffer)
	for j := lo; j < hi; j++ {
		i := s.scored.at[s.now.lo+j]
		z := s.logits[j*s.vocab : (j+1)*s.vocab]
		dlogp, dentropy := s.now.logp[i], s.now.entropy[i]
		if dlogp == 0 && dentropy == 0 {
			clear(z)
			continue
		}
		s.p.set.DistributeGrad(z, *buffer, s.found[i], int(s.p.seq.Targets[i]), dlogp, dentropy)
	}
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
