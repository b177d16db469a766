package sft

import (
	"cmp"
	"slices"

	"github.com/hone-rl/hone"
)

// Best picks from samples what is worth imitating: of each problem the right completions with the largest rewards, at most keep of
// them, no two of the same tokens. Among equal rewards the newer iteration goes first and then the smaller sample number. The result
// is in the order of the problems' ids and does not depend on the order of scored.
//
// With keep 1 it is best-of-n, RAFT: Dong et al. 2023, arXiv:2304.06767, alg. 1; with more it is rejection sampling of distinct right
// answers: Yuan et al. 2023, arXiv:2308.01825, section 3.3, and with cycles around it ReST-EM: Singh et al. 2023, arXiv:2312.06585, alg. 1,
// which bounds the number for each problem for the same reason: easy problems would crowd out the rest.
//
// Differs: a completion must be right, whatever its rank; a problem without a right one has nothing to imitate.
func Best(scored []hone.Scored, keep int) []*hone.Scored {
	right := make([]*hone.Scored, 0, len(scored))
	for i := range scored {
		if s := &scored[i]; s.Breakdown.Outcome == hone.OutcomeRight && s.Trajectory.Finish == hone.FinishStop {
			right = append(right, s)
		}
	}
	slices.SortFunc(right, func(a, b *hone.Scored) int {
		return cmp.Or(
			cmp.Compare(a.Trajectory.Problem.ID(), b.Trajectory.Problem.ID()),
			cmp.Compare(b.Breakdown.Total(), a.Breakdown.Total()),
			cmp.Compare(b.Trajectory.ID.Iteration, a.Trajectory.ID.Iteration),
			cmp.Compare(a.Trajectory.ID.Sample, b.Trajectory.ID.Sample),
		)
	})
	var out, group []*hone.Scored
	for i, s := range right {
		if i > 0 && right[i-1].Trajectory.Problem.ID() != s.Trajectory.Problem.ID() {
			group = nil
		}
		known := slices.ContainsFunc(group, func(o *hone.Scored) bool { return slices.Equal(o.Trajectory.Tokens, s.Trajectory.Tokens) })
		if known || len(group) >= keep {
			continue
		}
		group = append(group, s)
		out = append(out, s)
	}
	return out
}
