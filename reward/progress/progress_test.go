package progress_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/progress"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

const solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"

func setup(t require.TestingT) (*game24.Task, hone.Problem) {
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	return tk, p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	rewardtest.Run(t, progress.New(), tk, p, solution)
}

// TestTheTotalDependsOnTheStartAlone is the proof that the layer can't be farmed: whatever the values say on the way, and however many
// steps there are, the sum is what the start was worth, with its sign turned.
func TestTheTotalDependsOnTheStartAlone(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{
			"10 - 4 = 6 (left: 5 6 6)\n", "back (left: 4 5 6 10)\n", "hm\n", "Answer: (5 * (10 - 4)) - 6 = 24\n",
		}), 1, 30).Draw(t, "steps")
		text := ""
		for _, s := range steps {
			text += s
		}
		traj := rewardtest.Trajectory(tk, p, text)
		for i := range traj.Values {
			traj.Values[i] = rapid.Float32Range(-2, 2).Draw(t, "value")
		}
		j, err := progress.New().Judge(context.Background(), p, traj)
		require.NoError(t, err)
		require.Len(t, j.Terms, len(traj.Steps))
		require.InDelta(t, -float64(traj.Values[0]), hone.LayerScore{Weight: 1, Terms: j.Terms}.Total(), 1e-9)
	})
}

func TestStepsThatMoveForwardEarn(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	traj := rewardtest.Trajectory(tk, p, "a\nb\nc\n")
	for i := range traj.Values {
		traj.Values[i] = 0.25
	}
	for i := traj.Steps[1].From; i < len(traj.Values); i++ {
		traj.Values[i] = 0.75
	}
	j, err := progress.New().Judge(t.Context(), p, traj)
	require.NoError(t, err)
	require.InDelta(t, 0.5, j.Terms[0].Score, 1e-6)
	require.Equal(t, "the value goes from 0.250 to 0.750", j.Terms[0].Reason)
	require.Zero(t, j.Terms[1].Score)
	require.InDelta(t, -0.75, j.Terms[2].Score, 1e-6)

	traj.Values = nil
	j, err = progress.New().Judge(t.Context(), p, traj)
	require.NoError(t, err)
	require.Empty(t, j.Terms, "text from elsewhere has no values")
}
