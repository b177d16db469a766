package sft

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
)

// answer is a scored completion of one token.
func answer(problem string, sample int, token hone.TokenID, reward float64, outcome hone.Outcome) hone.Scored {
	return hone.Scored{
		Trajectory: hone.Trajectory{
			ID: hone.TrajectoryID{Sample: sample}, Problem: hone.Problem{Task: "t", Key: problem},
			Tokens: []hone.TokenID{token, eos}, Finish: hone.FinishStop,
		},
		Breakdown: hone.Breakdown{
			Outcome: outcome, Steps: 1, Layers: []hone.LayerScore{{Layer: "x", Weight: 1, Terms: []hone.Term{{Score: reward}}}},
		},
	}
}

func TestBestKeepsDistinctRightAnswersByReward(t *testing.T) {
	t.Parallel()
	cut := answer("a", 6, 6, 9, hone.OutcomeRight)
	cut.Trajectory.Finish = hone.FinishLength
	older := answer("b", 0, 3, 0.7, hone.OutcomeRight)
	newer := older
	newer.Trajectory.ID.Iteration = 1
	all := []hone.Scored{
		answer("a", 0, 1, 0.5, hone.OutcomeRight),
		answer("a", 1, 1, 0.9, hone.OutcomeRight), // the same answer, better paid
		answer("a", 2, 2, 0.7, hone.OutcomeRight),
		answer("a", 3, 3, 0.7, hone.OutcomeRight),
		answer("a", 4, 4, 2, hone.OutcomeWrong),
		answer("a", 5, 5, 2, hone.OutcomeTimeout),
		cut, older, newer,
		answer("c", 0, 1, 1, hone.OutcomeUnparsable),
	}
	ids := func(keep int) (out []hone.TrajectoryID) {
		for _, s := range Best(all, keep) {
			out = append(out, s.Trajectory.ID)
		}
		return out
	}
	last := hone.TrajectoryID{Iteration: 1}
	require.Equal(t, []hone.TrajectoryID{{Sample: 1}, last}, ids(1))
	require.Equal(t, []hone.TrajectoryID{{Sample: 1}, {Sample: 2}, last}, ids(2))
	require.Equal(t, []hone.TrajectoryID{{Sample: 1}, {Sample: 2}, {Sample: 3}, last}, ids(9))
	require.Empty(t, Best(nil, 1))
}

// Whatever the order of the samples, the choice is the same; no problem has more than keep, and nothing left out is better than
// something kept unless it is a copy.
func TestBestProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		outcomes := []hone.Outcome{hone.OutcomeRight, hone.OutcomeWrong}
		var all []hone.Scored
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			all = append(all, answer(
				rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "problem"), i, hone.TokenID(rapid.IntRange(0, 4).Draw(t, "token")),
				float64(rapid.IntRange(0, 3).Draw(t, "reward")), rapid.SampledFrom(outcomes).Draw(t, "outcome"),
			))
		}
		keep := rapid.IntRange(1, 4).Draw(t, "keep")
		best := Best(all, keep)
		kept := make(map[string][]*hone.Scored)
		for _, b := range best {
			kept[b.Trajectory.Problem.Key] = append(kept[b.Trajectory.Problem.Key], b)
		}
		for i := range all {
			s := &all[i]
			group := kept[s.Trajectory.Problem.Key]
			if len(group) > keep {
				t.Fatalf("%d kept of problem %s", len(group), s.Trajectory.Problem.Key)
			}
			alike := slices.ContainsFunc(group, func(g *hone.Scored) bool { return g.Trajectory.Tokens[0] == s.Trajectory.Tokens[0] })
			if s.Breakdown.Outcome == hone.OutcomeRight && !alike {
				if len(group) < keep || group[len(group)-1].Breakdown.Total() < s.Breakdown.Total() {
					t.Fatalf("sample %d of %s was left out", i, s.Trajectory.Problem.Key)
				}
			}
		}
		shuffled := slices.Clone(all)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again := Best(shuffled, keep)
		if len(again) != len(best) {
			t.Fatalf("%d and %d kept of the same samples", len(best), len(again))
		}
		for i := range best {
			if best[i].Trajectory.ID != again[i].Trajectory.ID {
				t.Fatalf("choice %d is %v or %v", i, best[i].Trajectory.ID, again[i].Trajectory.ID)
			}
		}
	})
}
