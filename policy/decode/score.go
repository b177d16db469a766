package decode

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Score gives the log-probability of each token of the given sequences and the value of each state, through the same cache and
// kernels as Generate: scoring what was generated gives the numbers that came with it. Errors are Generate's.
func (e *Engine) Score(ctx context.Context, seqs []Sequence) ([]Scores, error) {
	for i := range seqs {
		if err := e.limits.sequence(seqs[i]); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	j := scoring{seqs: seqs, scores: make([]Scores, len(seqs))}
	if unfinished, err := e.work(ctx, len(seqs), &j); err != nil {
		return nil, fmt.Errorf("score: %d of %d sequences unfinished: %w", unfinished, len(seqs), err)
	}
	return j.scores, nil
}

// scoring is the job of Score.
type scoring struct {
	seqs   []Sequence
	scores []Scores
}

func (j *scoring) begin(r *row, index int) {
	s := &j.seqs[index]
	r.text = append(append(r.text, s.Prompt...), s.Tokens...)
	r.from = len(s.Prompt) - 1
	j.scores[index] = Scores{Logp: make([]float32, 0, len(s.Tokens)), Values: make([]float32, 0, len(s.Tokens))}
}

// read scores the token after the position.
func (j *scoring) read(w *worker, r *row, i, at int) {
	s, out := &j.seqs[r.index], &j.scores[r.index]
	t := at - r.from
	switch {
	case r.broken:
	case t == len(s.Tokens):
		out.Bootstrap, r.done = w.values[i], true
	default:
		logp, ok := w.sampler.score(w.logitsOf(i), s.Tokens[t], s.Temperature)
		out.Logp, out.Values, r.broken = append(out.Logp, logp), append(out.Values, w.values[i]), !ok
	}
}

func (j *scoring) end(*row) {}

func (j *scoring) fault(r *row) error {
	return fmt.Errorf("sequence %d: logits of token %d: %w", r.index, len(j.scores[r.index].Logp)-1, hone.ErrNonFinite)
}
