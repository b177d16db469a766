package ppo

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// Whoever samples can tell from the groups what an update will leave out, to the last bit of a reward.
func TestGroupsAreWhatAnUpdateSees(t *testing.T) {
	t.Parallel()
	rng := hone.Rand(11)
	var all []Scored
	for i := range 160 {
		s := scored(i, 6, rng.NormFloat64(), 0.1, 0.2*rng.Float64())
		s.Trajectory.Problem.Key = fmt.Sprint(i / 4)
		switch rng.IntN(8) {
		case 0:
			s.Breakdown.Outcome = hone.OutcomeCrashed
		case 1:
			s.Trajectory.Finish = hone.FinishError
		case 2, 3:
			s.Breakdown.Outcome = hone.OutcomeRight
		case 4:
			s.Trajectory.Source = hone.SourceSearch
		}
		all = append(all, s)
	}
	groups := Groups(all)
	c := DefaultConfig()
	c.GroupSpread = groups[hone.Problem{Task: "toy", Key: "7"}].Spread() // a bit more, and it would be left out
	require.Positive(t, c.GroupSpread)
	samples, _, census, err := gather(all, c, 0)
	require.NoError(t, err)
	require.Positive(t, census.Uniform)
	seen, judged := make(map[hone.Problem]bool), 0
	for _, s := range samples {
		seen[s.trajectory.Problem] = true
	}
	for problem, g := range groups {
		require.Equal(t, g.Spread() >= c.GroupSpread, seen[problem], problem.Key)
		judged += g.Right + g.Wrong
	}
	require.True(t, seen[hone.Problem{Task: "toy", Key: "7"}])
	require.Equal(t, census.Sampled+census.Uniform, judged)
}
