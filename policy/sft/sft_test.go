package sft

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

const (
	vocab = 12
	eos   = 11
)

func tiny(t *testing.T) *policy.Params {
	t.Helper()
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = vocab, 32, 1, 2, 1, 64, 24
	params, err := policy.Init(c, 3)
	require.NoError(t, err)
	return params
}

// sequences is ten completions of random tokens, each behind a prompt that tells it from the others.
func sequences() []Example {
	rng := hone.Rand(8)
	out := make([]Example, 10)
	for i := range out {
		out[i].Prompt = []hone.TokenID{hone.TokenID(i), 10}
		for range 3 + i%4 {
			out[i].Completion = append(out[i].Completion, hone.TokenID(rng.IntN(10)))
		}
		out[i].Completion = append(out[i].Completion, eos)
	}
	return out
}

func input(t *testing.T, epochs int) Input {
	t.Helper()
	c := DefaultConfig()
	c.Epochs, c.BatchTokens, c.LearningRate, c.Warmup = epochs, 40, 0.02, 5
	return Input{Params: tiny(t), Set: kernel.Portable(), Config: c, Examples: sequences(), Seed: 4}
}

func TestMemorisesTenSequences(t *testing.T) {
	t.Parallel()
	in := input(t, 60)
	var seen []Progress
	in.Progress = func(p Progress) { seen = append(seen, p) }
	got, err := Fit(t.Context(), in)
	require.NoError(t, err)
	require.Less(t, got.LastEpochLoss, 0.05)
	require.InDelta(t, math.Log(vocab), got.FirstLoss, 0.5)
	require.Len(t, seen, got.Steps)
	require.Equal(t, Progress{Step: got.Steps, Steps: got.Steps, Loss: got.LastLoss, Tokens: got.Tokens}, seen[len(seen)-1])

	scorer, err := policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{})
	require.NoError(t, err)
	for _, e := range in.Examples {
		batch, spans, tokens := pack([]Example{e}, []int{0})
		weights := weigh(batch.Len(), spans, tokens)
		scores, err := scorer.Evaluate(t.Context(), batch)
		require.NoError(t, err)
		logp := 0.0
		for i, w := range weights {
			if w > 0 {
				logp += float64(scores.Logp[i])
			}
		}
		require.Greater(t, logp, math.Log(0.8), "%d tokens %v", tokens, e.Completion)
	}
}

func TestFittingAgainGivesTheSameBits(t *testing.T) {
	t.Parallel()
	var digests []string
	var results []Result
	for range 2 {
		in := input(t, 3)
		got, err := Fit(t.Context(), in)
		require.NoError(t, err)
		digests, results = append(digests, in.Params.Digest()), append(results, got)
	}
	require.Equal(t, digests[0], digests[1])
	require.Equal(t, results[0], results[1])

	saving := input(t, 3)
	saving.Config.Checkpoint = true
	_, err := Fit(t.Context(), saving)
	require.NoError(t, err)
	require.Equal(t, digests[0], saving.Params.Digest(), "checkpoints change no bit")

	other := input(t, 3)
	other.Seed++
	_, err = Fit(t.Context(), other)
	require.NoError(t, err)
	require.NotEqual(t, digests[0], other.Params.Digest())
}

// The prompt's own tokens are targets of nothing, so two sets of examples that differ in their prompts' first tokens alone have
// the same weights.
func TestOnlyCompletionsAreLearned(t *testing.T) {
	t.Parallel()
	batch, spans, tokens := pack([]Example{
		{Prompt: []hone.TokenID{1, 2}, Completion: []hone.TokenID{3, eos}},
		{Prompt: []hone.TokenID{4}, Completion: []hone.TokenID{5, eos}},
	}, []int{1, 0})
	weights := weigh(batch.Len(), spans, tokens)
	require.Equal(t, 4, tokens)
	require.Equal(t, []int32{4, 5, eos, 1, 2, 3, eos}, batch.Tokens)
	require.Equal(t, []int32{5, eos, policy.NoTarget, policy.NoTarget, 3, eos, policy.NoTarget}, batch.Targets)
	require.Equal(t, []float32{0.25, 0.25, 0, 0, 0.25, 0.25, 0}, weights)
}

func TestPlanSeesEveryExampleOnceAnEpoch(t *testing.T) {
	t.Parallel()
	in := input(t, 3)
	steps, lastEpoch := plan(in.Examples, in.Config, 1)
	var order []int
	for _, step := range steps {
		require.NotEmpty(t, step)
		tokens := 0
		for _, i := range step {
			tokens += in.Examples[i].rows()
		}
		require.LessOrEqual(t, tokens, in.Config.BatchTokens)
		order = append(order, step...)
	}
	n := len(in.Examples)
	require.Len(t, order, 3*n)
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	require.ElementsMatch(t, all, order[:n])
	require.ElementsMatch(t, all, order[n:2*n])
	require.NotEqual(t, order[:n], order[n:2*n])
	require.Len(t, slices.Concat(steps[lastEpoch:]...), n)

	again, _ := plan(in.Examples, in.Config, 1)
	require.Equal(t, steps, again)
	other, _ := plan(in.Examples, in.Config, 2)
	require.NotEqual(t, steps, other)
}

func TestFitRefusesBadInput(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Input){
		"no examples":   func(in *Input) { in.Examples = nil },
		"no prompt":     func(in *Input) { in.Examples[2].Prompt = nil },
		"no completion": func(in *Input) { in.Examples[2].Completion = nil },
		"too long":      func(in *Input) { in.Config.BatchTokens = 5 },
		"config":        func(in *Input) { in.Config.Epochs = 0 },
	} {
		in := input(t, 1)
		before := in.Params.Digest()
		edit(&in)
		_, err := Fit(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.Equal(t, before, in.Params.Digest())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Fit(ctx, input(t, 1))
	require.ErrorIs(t, err, context.Canceled)
}

func TestFitStopsAtANumberThatIsNotFinite(t *testing.T) {
	t.Parallel()
	in := input(t, 1)
	in.Params.Flat()[7] = float32(math.NaN())
	_, err := Fit(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNonFinite)
}

func TestValidateJoinsAllFaults(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
	err := Config{Epochs: -1, WeightDecay: math.NaN()}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{"epochs is -1", "weight_decay is NaN", "batch_tokens is 0", "learning_rate is 0"} {
		require.ErrorContains(t, err, part)
	}
}

func TestMixtureOfExpertsIsFitted(t *testing.T) {
	t.Parallel()
	in := input(t, 30)
	c := in.Params.Config()
	c.MoE = policy.MoE{Experts: 4, Shared: 1, BiasRate: 0.001}
	params, err := policy.Init(c, 3)
	require.NoError(t, err)
	in.Params = params
	got, err := Fit(t.Context(), in)
	require.NoError(t, err)
	require.Less(t, got.LastEpochLoss, 0.3)
	tokens := 0
	for _, e := range in.Examples {
		tokens += len(e.Prompt) + len(e.Completion)
	}
	require.Equal(t, tokens, got.Usage.Tokens, "those of the last epoch")
	require.InDelta(t, 2, got.Usage.Shares()[0]+got.Usage.Shares()[1]+got.Usage.Shares()[2]+got.Usage.Shares()[3], 1e-9)
	require.NotEqual(t, make([]float32, 4), params.Tensor("model.layers.0.block_sparse_moe.gate.e_score_correction_bias"))
}

// An update is a part of a fit: with the moments and the rate handed on, two epochs in two updates are two epochs in one.
func TestUpdatesGoOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	run := func(updates int) string {
		in := input(t, 1)
		in.Config.Epochs = 2 / updates
		in.Config.BatchTokens = 400 // one step an epoch, so that the order plays no part
		learner, err := NewLearner(in.Params, in.Set, in.Config)
		require.NoError(t, err)
		optimizer, err := policy.NewAdamW(in.Params, in.Config.AdamW())
		require.NoError(t, err)
		for range updates {
			got, err := learner.Update(t.Context(), UpdateInput{
				Config: in.Config, Optimizer: optimizer, LearningRate: 0.01, Examples: in.Examples[:1], Seed: 1,
			})
			require.NoError(t, err)
			require.Equal(t, in.Config.Epochs, got.Steps)
			require.InDelta(t, got.GradNormMax, got.GradNorm, got.GradNormMax)
		}
		return in.Params.Digest()
	}
	require.Equal(t, run(1), run(2))
}

func TestUpdateRefusesBadInput(t *testing.T) {
	t.Parallel()
	in := input(t, 1)
	learner, err := NewLearner(in.Params, in.Set, in.Config)
	require.NoError(t, err)
	_, err = learner.Update(t.Context(), UpdateInput{Config: in.Config})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "no optimiser")
	require.ErrorContains(t, err, "learning rate is 0")
	optimizer, err := policy.NewAdamW(in.Params, in.Config.AdamW())
	require.NoError(t, err)
	_, err = learner.Update(t.Context(), UpdateInput{Config: in.Config, Optimizer: optimizer, LearningRate: 1})
	require.ErrorContains(t, err, "no examples")
}
