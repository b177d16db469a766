package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/advantage"
)

func TestJobRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	require.NoError(t, activities.DefaultJob().Validate())
	for name, x := range map[string]struct {
		edit    func(*activities.Job)
		message string
	}{
		"groups of one": {
			func(j *activities.Job) { j.PPO.Advantage, j.Rollout.Group = advantage.GRPO, 1 },
			"ppo: advantage grpo compares the samples of a problem: rollout: group 1, want at least 2",
		},
		"trees without search": {
			func(j *activities.Job) { j.PPO.Advantage = advantage.Tree },
			"ppo: advantage tree compares the steps of searched lines",
		},
		"gae without a critic": {
			func(j *activities.Job) { j.PPO.ValueCoef = 0 },
			"ppo: value_coef is 0, must be above 0 with gae",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := activities.DefaultJob()
			x.edit(&job)
			err := job.Validate()
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, x.message)
		})
	}
}
