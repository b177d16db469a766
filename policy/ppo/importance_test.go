package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

func TestChecklist41WeightsAreTruncatedAndHeld(t *testing.T) {
	t.Parallel()
	start, sampler := []float64{-1, -1, -1}, []float64{-1, -3, -0.5}
	got, truncated := Importance{Truncate: 2}.weights(start, sampler, LossClip)
	require.InDeltaSlice(t, []float64{1, 2, math.Exp(-0.5)}, got, 1e-12)
	require.Equal(t, 1, truncated)
	mean := math.Exp(0.5) // of 0, 2 and -0.5
	got, truncated = Importance{Truncate: 2}.weights(start, sampler, LossGSPO)
	require.InDeltaSlice(t, []float64{mean, mean, mean}, got, 1e-12)
	require.Zero(t, truncated)

	// The weight multiplies the policy's loss and its gradient, and nothing else.
	b := randomBatch(4, hone.Rand(3))
	o := newObjective(DefaultConfig(), 0)
	plain, weighed := makeSlopes(4), makeSlopes(4)
	o.evaluate(b.rows, b.totals, b.out, plain, newTally())
	b.rows.Importance = []float64{3, 1, 1, 1}
	o.evaluate(b.rows, b.totals, b.out, weighed, newTally())
	require.InDelta(t, 3*plain.logp[0], weighed.logp[0], 1e-12)
	require.Equal(t, plain.value, weighed.value)
	require.Equal(t, plain.entropy, weighed.entropy)
	require.Equal(t, plain.logp[1:], weighed.logp[1:])
}

// Samples of a policy at another temperature: with weights the ratios are against the policy that starts, so that the first is 1 however
// stale the samples, and the divergence of the two is logged.
func TestChecklist41RatiosAreAgainstThePolicyThatStarts(t *testing.T) {
	t.Parallel()
	hot, cold := newWorld(t, 1, 2), newWorld(t, 1, 1)
	trajectories := hot.sample(hone.Rand(2), prompts(32), 3, copies)
	c := DefaultConfig()
	c.Importance.Truncate = 1
	got, err := cold.learner().Update(t.Context(), cold.input(c, trajectories))
	require.NoError(t, err)
	require.Less(t, got.Stats.RatioFirstMaxDev, agreementTolerance)
	require.Positive(t, got.Stats.MismatchK3)
	require.Positive(t, got.Stats.ImportanceTruncated)
	require.Less(t, got.Stats.ImportanceESS, 1.0)
	require.Greater(t, got.Stats.ImportanceESS, 0.5)

	same, err := hot.learner().Update(t.Context(), hot.input(c, trajectories))
	require.NoError(t, err)
	require.InDelta(t, 1, same.Stats.ImportanceMean, agreementTolerance)
	require.InDelta(t, 0, same.Stats.MismatchK3, agreementTolerance)
	require.Zero(t, same.Stats.ImportanceTruncated)
}

func TestChecklist43StaleSamplesAreLeftOutAndCounted(t *testing.T) {
	t.Parallel()
	var all []Scored
	for i := range 6 {
		s := scored(i, 2, 1)
		s.Trajectory.Behaviour = i
		all = append(all, s)
	}
	c := DefaultConfig()
	c.Importance.MaxStaleness = 2
	samples, _, census, err := gather(all, c, 5)
	require.NoError(t, err)
	require.Equal(t, Census{Sampled: 3, Stale: 3}, census)
	require.Equal(t, 3, samples[0].trajectory.Behaviour)
	_, _, census, err = gather(all, c, 9)
	require.ErrorContains(t, err, "no sampled trajectory to train on")
	require.Equal(t, 6, census.Stale)
	_, _, _, err = gather(all, c, 4)
	require.ErrorContains(t, err, "was sampled by version 5, and version 4 learns")
	require.ErrorIs(t, Importance{Truncate: 0.5, MaxStaleness: -1}.Validate(), hone.ErrInvalid)
}

func TestEffectiveSampleSize(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1, effectiveSampleSize(8, 16, 4), 1e-12)   // 2 2 2 2
	require.InDelta(t, 0.25, effectiveSampleSize(3, 9, 4), 1e-12) // 3 0 0 0
	require.Zero(t, effectiveSampleSize(0, 0, 0))
}

// What stands beside a trajectory in a batch, and how the batch is cut, changes none of its log-probabilities beyond rounding: positions
// count from its own first token, and padding is a row that takes no part.
func TestChecklist06ATrajectoryAloneIsTheSameInABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	trajectories := w.sample(hone.Rand(2), prompts(12), 3, copies)
	trajectories[4].Trajectory.Prompt = []hone.TokenID{1, 2, 3, 4, 5}
	samples, _, _, err := gather(trajectories, DefaultConfig(), 0)
	require.NoError(t, err)
	together, err := score(t.Context(), w.scorer, samples, "logp")
	require.NoError(t, err)
	for i, s := range samples {
		alone, err := score(t.Context(), w.scorer, []*sample{s}, "logp")
		require.NoError(t, err)
		require.InDeltaSlice(t, together[i], alone[0], agreementTolerance)
	}
}

// Nothing is dropped at random: the graph that learns gives the log-probabilities that the graph that scores does, each time the same.
func TestChecklist07NothingIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	samples, _, _, err := gather(w.sample(hone.Rand(2), prompts(12), 3, copies), c, 0)
	require.NoError(t, err)
	first, err := score(t.Context(), w.scorer, samples, "logp")
	require.NoError(t, err)
	again, err := score(t.Context(), w.scorer, samples, "logp")
	require.NoError(t, err)
	require.Equal(t, first, again)
	for i, s := range samples {
		s.logpOld, s.logpRef = first[i], first[i]
		s.advantages, s.returns = make([]float64, len(first[i])), make([]float64, len(first[i]))
	}
	l := w.learner()
	l.loss.objective = newObjective(c, 0)
	require.NoError(t, l.gradient(t.Context(), samples, policy.MaxBatch))
	require.Zero(t, l.loss.takeTally().ratioDeviation())
}
