package decode

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/phase"
)

// Score gives the log-probability of each token of the given sequences and the value of each state, through the same cache and
// kernels as Generate: scoring what was generated gives the numbers that came with it. Errors are Generate's.
func (e *Engine) Score(ctx context.Context, seqs []Sequence) ([]Scores, error) {
	for i := range seqs {
		if err := e.limits.sequence(seqs[i]); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	ctx, work := phase.Begin(ctx, "score sequences")
	defer work.End()
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
	j.scores[index] = Scores{Logp: make([]float32, len(s.Tokens)), Values: make([]float32, len(s.Tokens))}
}

func (j *scoring) length(index int) int { return len(j.seqs[index].Prompt) + len(j.seqs[index].Tokens) }

// read scores the token after the position; NaN says that the logits were not finite.
func (j *scoring) read(r *row, out outputs) {
	s, scores := &j.seqs[r.index], &j.scores[r.index]
	t := out.at - r.from
	if t == len(s.Tokens) {
		scores.Bootstrap, r.done = out.value, true
		return
	}
	logp, ok := out.sampler.score(out.logits, s.Tokens[t], s.Temperature)
	if !ok {
		logp = float32(math.NaN())
	}
	scores.Logp[t], scores.Values[t] = logp, out.value
}

func (j *scoring) end(r *row) error {
	isNaN := func(x float32) bool { return x != x }
	if t := slices.IndexFunc(j.scores[r.index].Logp, isNaN); t >= 0 {
		return fmt.Errorf("sequence %d: logits of token %d: %w", r.index, t, hone.ErrNonFinite)
	}
	return nil
}
