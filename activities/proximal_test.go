package activities

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// A step that is not finite is left out, and its trajectories are kept with the reason, also where no step was finite.
func TestChecklist40SkippedStepsAreKept(t *testing.T) {
	t.Parallel()
	s, params, u := pupil(t, func(j *Job) { j.PPO.KLCoef, j.PPO.TargetKL, j.PPO.Epochs, j.PPO.Minibatches = 0, 0, 1, 4 })
	kept := make(map[string][]byte)
	s.deps.Inspect = func(run hone.RunID, name string, content []byte) error {
		require.Equal(t, hone.RunID("run"), run)
		kept[name] = content
		return nil
	}
	text := "1 + 2 = 3 (left: 3)\n"
	group := sampled(t, s, 0, []string{text, text, text, text}, []bool{true, false, false, false})
	for i := range group {
		x := &group[i]
		n := len(x.Trajectory.Tokens)
		x.Trajectory.Logp, x.Trajectory.Values = make([]float32, n), make([]float32, n)
		x.Trajectory.Steps = []hone.Step{{From: 0, To: n}}
		x.Breakdown.Steps = 1
		x.Breakdown.Layers = []hone.LayerScore{{Layer: "test", Weight: 1, Terms: []hone.Term{{Score: float64(i)}}}}
	}
	group[2].Breakdown.Layers[0].Terms[0].Score = 1e42
	out, err := u.update(t.Context(), lesson{scored: group, optimiser: mustAdamW(t, s, params)}, new(pulse))
	require.NoError(t, err)
	require.Equal(t, 1.0, out.metrics["skipped_steps"])
	require.Positive(t, out.metrics["grad_norm_layer_0"])
	var record inspection
	require.NoError(t, json.Unmarshal(kept["skipped-0.json"], &record))
	require.Len(t, record.Skipped, 1)
	require.NotEmpty(t, record.Skipped[0].Reason)
	require.Len(t, record.Trajectories, 1)
	require.Equal(t, group[2], record.Trajectories[0])

	clear(kept)
	group[2].Trajectory.Behaviour = 3
	_, err = u.update(t.Context(), lesson{iteration: 3, scored: group[2:3], optimiser: mustAdamW(t, s, params)}, new(pulse))
	require.ErrorIs(t, err, hone.ErrNonFinite)
	require.Contains(t, kept, "skipped-3.json")
}
