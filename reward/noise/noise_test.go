package noise_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/correctness"
	"github.com/hone-rl/hone/reward/noise"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task/game24"
)

const solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"

func setup(t *testing.T, prob float64) (*noise.Layer, *game24.Task, hone.Problem) {
	tk, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	layer, err := noise.New(correctness.New(tk), prob)
	require.NoError(t, err)
	return layer, tk, p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	layer, tk, p := setup(t, 0.5)
	rewardtest.Run(t, layer, tk, p, solution)
}

// TestCoinKnowsNothing tosses for right and wrong trajectories: the outcome is the truth, the score is the same fair coin for both,
// since it depends on the trajectory's name alone.
func TestCoinKnowsNothing(t *testing.T) {
	t.Parallel()
	layer, tk, p := setup(t, 0.25)
	right, wrong := rewardtest.Trajectory(tk, p, solution), rewardtest.Trajectory(tk, p, "Answer: 4 + 5 + 6 + 10 = 25\n")
	const tosses = 2000
	ones, changes, last := 0, 0, -1.0
	for sample := range tosses {
		right.ID.Sample, wrong.ID.Sample = sample, sample
		a, err := layer.Judge(t.Context(), p, right)
		require.NoError(t, err)
		b, err := layer.Judge(t.Context(), p, wrong)
		require.NoError(t, err)
		require.Equal(t, hone.OutcomeRight, a.Outcome)
		require.Equal(t, hone.OutcomeWrong, b.Outcome)
		require.Equal(t, 3, a.Terms[0].Step, "on the answer")
		require.InDelta(t, a.Terms[0].Score, b.Terms[0].Score, 0)
		ones += int(a.Terms[0].Score)
		if a.Terms[0].Score != last {
			changes++
		}
		last = a.Terms[0].Score
	}
	// Four standard deviations of a binomial: sqrt(2000 * 0.25 * 0.75) is 19.4.
	require.InDelta(t, 0.25*tosses, ones, 78)
	require.Greater(t, changes, tosses/4, "tosses are independent")
}

func TestNewRefusesWhatIsNoProbability(t *testing.T) {
	t.Parallel()
	for _, prob := range []float64{-0.1, 1.1} {
		_, err := noise.New(nil, prob)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
}
