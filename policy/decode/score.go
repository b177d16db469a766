package decode

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Score gives the log-probability of each token of the given sequences and the value of each state, through the same cache and
// kernels as Generate: scoring what was generated gives the numbers that came with it, up to the rounding of products of
// other sizes. Errors are Generate's.
func (e *Engine) Score(ctx context.Context, seqs []Sequence) ([]Scores, error) {
	for i := range seqs {
		if err := e.limits.sequence(seqs[i]); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	scores := make([]Scores, len(seqs))
	for first := 0; first < len(seqs); first += len(e.rows) {
		last := min(first+len(e.rows), len(seqs))
		if err := e.scoreWave(ctx, seqs[:last], first, scores); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// scoreWave scores seqs[first:].
func (e *Engine) scoreWave(ctx context.Context, seqs []Sequence, first int, scores []Scores) error {
	spans := make([]span, len(seqs)-first)
	defer func() {
		for i := range spans {
			e.rows[i].release(&e.pool)
		}
	}()
	for i := range spans {
		r, s := &e.rows[i], seqs[first+i]
		tokens := append(append([]hone.TokenID(nil), s.Prompt...), s.Tokens...)
		r.reserve(&e.pool, len(tokens))
		spans[i] = span{seq: &r.cached, tokens: tokens}
		scores[first+i] = Scores{Logp: make([]float32, len(s.Tokens)), Values: make([]float32, len(s.Tokens))}
	}
	broken := make([]int, len(spans))
	err := e.run(ctx, spans, func(w *worker, i int, f feed) {
		s, out := &seqs[first+f.span], &scores[first+f.span]
		switch t := f.at + 1 - len(s.Prompt); {
		case t < 0:
		case t == len(s.Tokens):
			out.Bootstrap = w.values[i]
		default:
			logp, ok := w.sampler.score(w.logitsOf(i), s.Tokens[t], s.Temperature)
			if !ok && broken[f.span] == 0 {
				broken[f.span] = t + 1
			}
			out.Logp[t], out.Values[t] = logp, w.values[i]
		}
	})
	if err != nil {
		return fmt.Errorf("score: %w", err)
	}
	for i, t := range broken {
		if t > 0 {
			return fmt.Errorf("sequence %d: logits of token %d: %w", first+i, t-1, hone.ErrNonFinite)
		}
	}
	return nil
}
