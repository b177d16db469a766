package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

func TestForecastsAreOfTheBeginningsOfSteps(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	a := w.process()
	run := w.prepare(a, "forecast", job).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	in := activities.EvaluateInput{Run: run, Split: hone.SplitHeldOut, Limit: 5}
	seen := 0
	got, err := activities.NewInspector(a).Forecasts(t.Context(), in, "", func(done, _ int) { seen = done })
	require.NoError(t, err)
	require.Equal(t, 5, got.Problems)
	require.Equal(t, 5*job.Rollout.Group, got.Trajectories)
	require.Equal(t, got.Trajectories, seen)
	require.Len(t, got.After[0], got.Trajectories, "every one begins at the prompt")
	for k, forecasts := range got.After {
		require.LessOrEqual(t, len(forecasts), len(got.After[max(k-1, 0)]))
		for _, f := range forecasts {
			require.GreaterOrEqual(t, f.Prob, 0.0)
			require.LessOrEqual(t, f.Prob, 1.0)
		}
	}
	again, err := activities.NewInspector(w.process()).Forecasts(t.Context(), in, "", nil)
	require.NoError(t, err)
	require.Equal(t, got, again, "the same every time")
}
