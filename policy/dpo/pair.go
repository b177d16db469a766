package dpo

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
)

// Pair is one preference: after Prefix, Chosen is better than Rejected.
type Pair struct {
	// Prefix is read and not learned: the prompt, and for a pair of steps the steps that both lines have in common. It has a token at
	// least.
	Prefix []hone.TokenID
	// Chosen and Rejected have a token each at least, and differ.
	Chosen, Rejected []hone.TokenID
}

// rows is the number of tokens that the pair takes in a batch.
func (p Pair) rows() int { return 2*len(p.Prefix) + len(p.Chosen) + len(p.Rejected) }

// validate checks a pair against the size of a batch.
func (p Pair) validate(batchTokens int) error {
	switch {
	case len(p.Prefix) == 0 || len(p.Chosen) == 0 || len(p.Rejected) == 0:
		return fmt.Errorf("%d tokens of prefix, %d chosen, %d rejected, must be at least 1 each: %w",
			len(p.Prefix), len(p.Chosen), len(p.Rejected), hone.ErrInvalid)
	case slices.Equal(p.Chosen, p.Rejected):
		return fmt.Errorf("chosen and rejected are the same %d tokens: %w", len(p.Chosen), hone.ErrInvalid)
	case p.rows() > batchTokens:
		return fmt.Errorf("%d tokens do not fit batch_tokens %d: %w", p.rows(), batchTokens, hone.ErrInvalid)
	}
	return nil
}

// PairSamples sets right completions of a problem against wrong ones, at most perProblem pairs of each: the best by reward against the best
// of the wrong, then the second against the second, and so on, the shorter list round and round, until the longer one is used up. The
// best wrong answers are those from which there is most to learn: what sets them apart is nothing but being wrong.
//
// Copies count once, only trajectories that the policy sampled and ended itself take part, and a problem without a right or without a
// wrong one gives no pair. The result is in the order of the problems' ids and does not depend on the order of scored.
func PairSamples(scored []hone.Scored, perProblem int) []Pair {
	type group struct{ right, wrong []*hone.Scored }
	groups := make(map[string]*group)
	var ids []string
	order := make([]*hone.Scored, len(scored))
	for i := range scored {
		order[i] = &scored[i]
	}
	slices.SortFunc(order, func(a, b *hone.Scored) int {
		return cmp.Or(
			cmp.Compare(a.Trajectory.Problem.ID(), b.Trajectory.Problem.ID()),
			cmp.Compare(b.Breakdown.Total(), a.Breakdown.Total()),
			cmp.Compare(a.Trajectory.ID.Iteration, b.Trajectory.ID.Iteration),
			cmp.Compare(a.Trajectory.ID.Sample, b.Trajectory.ID.Sample),
		)
	})
	add := func(to []*hone.Scored, s *hone.Scored) []*hone.Scored {
		if slices.ContainsFunc(to, func(o *hone.Scored) bool { return slices.Equal(o.Trajectory.Tokens, s.Trajectory.Tokens) }) {
			return to
		}
		return append(to, s)
	}
	for _, s := range order {
		if s.Trajectory.Source != hone.SourceSample || s.Trajectory.Finish != hone.FinishStop || !s.Breakdown.Outcome.Judged() {
			continue
		}
		id := s.Trajectory.Problem.ID()
		g, ok := groups[id]
		if !ok {
			g = new(group)
			groups[id] = g
			ids = append(ids, id)
		}
		if s.Breakdown.Outcome == hone.OutcomeRight {
			g.right = add(g.right, s)
		} else {
			g.wrong = add(g.wrong, s)
		}
	}
	var out []Pair
	for _, id := range ids {
		g := groups[id]
		if len(g.right) == 0 || len(g.wrong) == 0 {
			continue
		}
		for i := range min(perProblem, max(len(g.right), len(g.wrong))) {
			right, wrong := g.right[i%len(g.right)], g.wrong[i%len(g.wrong)]
			out = append(out, Pair{
				Prefix: right.Trajectory.Prompt, Chosen: right.Trajectory.Tokens, Rejected: wrong.Trajectory.Tokens,
			})
		}
	}
	return out
}
