package ppo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// A mixture of experts learns as any policy does, moves its biases and says what its routers did with all tokens.
func TestUpdateOfAMixtureOfExperts(t *testing.T) {
	t.Parallel()
	run := func(batchTokens int, checkpoint bool) (Result, *policy.Params) {
		w := newWorld(t, 1, 1)
		shape := tinyConfig()
		shape.MoE = policy.MoE{Experts: 4, BalanceCoef: 0.01, BiasRate: 0.001}
		params, err := policy.Init(shape, 1)
		require.NoError(t, err)
		w.params, w.scorer = params, w.trainer(params)
		c := DefaultConfig()
		c.Epochs, c.Minibatches, c.BatchTokens, c.TargetKL = 2, 2, batchTokens, 0
		in := w.input(c, w.sample(hone.Rand(2), prompts(16), 3, copies))
		c.Checkpoint = checkpoint
		learner, err := NewLearner(params, w.set, c, 1)
		require.NoError(t, err)
		got, err := learner.Update(t.Context(), in)
		require.NoError(t, err)
		return got, params
	}
	got, params := run(4096, false)
	require.InDelta(t, 0, got.Stats.RatioFirstMaxDev, agreementTolerance)
	require.Equal(t, 4, got.Stats.Steps)
	usage := got.Stats.Usage
	require.Equal(t, 2*16*4, usage.Tokens, "prompt and completion of each sample, in each epoch")
	total := 0
	for _, load := range usage.Loads[0] {
		total += load
	}
	require.Equal(t, 2*usage.Tokens, total)
	require.Contains(t, usage.Metrics(), "expert_share_3")
	bias := params.Tensor("model.layers.0.block_sparse_moe.gate.e_score_correction_bias")
	require.NotEqual(t, make([]float32, 4), bias)
	for _, b := range bias {
		require.InDelta(t, 0, b, 4*0.001+1e-7)
	}

	// Parts of a minibatch count for the load-balance loss by their tokens, so a step in parts is almost that of the whole.
	parts, _ := run(16, false)
	require.Equal(t, usage.Tokens, parts.Stats.Usage.Tokens)
	require.InEpsilon(t, got.Stats.GradNorm, parts.Stats.GradNorm, 0.05)

	saving, same := run(4096, true)
	require.Equal(t, got.Stats, saving.Stats)
	require.Equal(t, params.Digest(), same.Digest(), "checkpoints change no bit")
}

func TestDensePolicyHasNoUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	got, err := w.learner().Update(t.Context(), w.input(DefaultConfig(), w.sample(hone.Rand(2), prompts(8), 1, copies)))
	require.NoError(t, err)
	require.Empty(t, got.Stats.Usage.Metrics())
}
