package sft

import (
	"cmp"
	"slices"

	"github.com/hone-rl/hone"
)

// Faults are what a verifier forbids, taken from wrong completions: of each the first step that lost reward, forbidden behind the steps
// before it, which are left alone. At most keep of each problem, no two alike, in the order of the problems' ids and then of the samples,
// whatever the order of scored. A wrong completion all of whose steps are good forbids nothing: its answer was reached by true steps, and
// each may be part of a solution.
func Faults(scored []hone.Scored, keep int) []Example {
	order := make([]*hone.Scored, 0, len(scored))
	for i := range scored {
		if scored[i].Breakdown.Outcome == hone.OutcomeWrong && scored[i].Trajectory.Finish != hone.FinishError {
			order = append(order, &scored[i])
		}
	}
	slices.SortFunc(order, func(a, b *hone.Scored) int {
		return cmp.Or(
			cmp.Compare(a.Trajectory.Problem.ID(), b.Trajectory.Problem.ID()),
			cmp.Compare(a.Trajectory.ID.Iteration, b.Trajectory.ID.Iteration),
			cmp.Compare(a.Trajectory.ID.Sample, b.Trajectory.ID.Sample),
		)
	})
	var out []Example
	first := 0 // of the problem's
	for i, s := range order {
		t := &s.Trajectory
		if i > 0 && order[i-1].Trajectory.Problem.ID() != t.Problem.ID() {
			first = len(out)
		}
		at := slices.IndexFunc(s.Breakdown.StepRewards(), func(reward float64) bool { return reward < 0 })
		if at < 0 || at >= len(t.Steps) || t.Steps[at].From == t.Steps[at].To || len(out)-first >= keep {
			continue
		}
		e := Example{
			Prompt:     slices.Concat(t.Prompt, t.Tokens[:t.Steps[at].From]),
			Completion: t.Tokens[t.Steps[at].From:t.Steps[at].To], Forbidden: true,
		}
		same := func(o Example) bool {
			return slices.Equal(o.Prompt, e.Prompt) && slices.Equal(o.Completion, e.Completion)
		}
		if !slices.ContainsFunc(out[first:], same) {
			out = append(out, e)
		}
	}
	return out
}
