package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/decode"
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
			func(j *activities.Job) { j.PPO.Advantage, j.Searched = advantage.Tree, 0 },
			"ppo: advantage tree compares the steps of searched lines: searched is 0",
		},
		"trees at another temperature": {
			func(j *activities.Job) { j.PPO.Advantage, j.Rollout.Sampling.Temperature = advantage.Tree, 0.7 },
			"rollout.sampling.temperature is 0.7, and 0.7 at the end, want 1",
		},
		"the spread of one line": {
			func(j *activities.Job) { j.PPO.Advantage, j.PPO.GroupSpread = advantage.Tree, 0.5 },
			"which has no spread: group_spread is 0.5, want 0",
		},
		"a charge that nobody reads": {
			func(j *activities.Job) { j.PPO.Advantage = advantage.Tree },
			"kl_penalty is reward and kl_coef 0.01, want the penalty in the loss or 0",
		},
		"a top-up of groups that nothing leaves out": {
			func(j *activities.Job) { j.Rollout.TopUp, j.PPO.GroupSpread = 2, 0 },
			"rollout: top_up 2 makes up for groups that ppo.group_spread leaves out, and with algorithm ppo and ppo.group_spread 0 none is",
		},
		"a top-up for pairs": {
			func(j *activities.Job) {
				j.Rollout.TopUp, j.PPO.GroupSpread, j.Algorithm = 2, 0.5, activities.AlgorithmDPO
			},
			"with algorithm dpo",
		},
		"a sampler of another policy": {
			func(j *activities.Job) { j.Rollout.Precision = decode.BF16 },
			"ppo.importance.truncate is 0, want 1 or more, such as 2",
		},
		"an unknown precision": {
			func(j *activities.Job) { j.Rollout.Precision = "fp8" },
			`rollout: precision "fp8": want float32 or bf16`,
		},
		"less than the cycle's prompts": {
			func(j *activities.Job) { j.Rollout.TopUp = 0.5 },
			"rollout: top_up 0.5: want a number in [1, 100], or 0 for 1",
		},
		"pretraining without a warm-up": {
			func(j *activities.Job) { j.PPO.CriticPretrain = 3 },
			"ppo: critic_pretrain is 3, must be 0 without a critic_warmup, whose trajectories it goes over",
		},
		"a bias of what is not whitened": {
			func(j *activities.Job) { j.PPO.Advantage, j.PPO.WhitenBiased = advantage.RLOO, true },
			"whiten_biased is true, must be false with rloo, which does not whiten",
		},
		"preferences at changing temperatures": {
			func(j *activities.Job) {
				j.Algorithm, j.Temperature = activities.AlgorithmDPO, policy.Curve{Shape: policy.ShapeLinear, To: 0.5}
			},
			"dpo: temperature goes from 1 to 0.5",
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
