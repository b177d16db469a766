package ppo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

func TestChecklist36SettingsOfACycleAreAFunctionOfItsNumber(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	require.Equal(t, c, c.At(7, 10), "nothing is scheduled by default")
	c.Schedules = Schedules{
		LearningRate: policy.Curve{Shape: policy.ShapeLinear, To: 1e-4},
		KLTarget:     policy.Curve{Shape: policy.ShapeLinear, To: 5},
		Entropy:      policy.Curve{Shape: policy.ShapeCosine},
		ClipLow:      policy.Curve{Shape: policy.ShapeLinear, To: 0.1},
		ClipHigh:     policy.Curve{Shape: policy.ShapeConstant},
	}
	c.EntropyCoef, c.Warmup = 0.02, 0
	require.NoError(t, c.Validate())
	first, half, last := c.At(0, 11), c.At(5, 11), c.At(10, 11)
	require.InDelta(t, 10, first.KLTarget, 0)
	require.InDelta(t, 7.5, half.KLTarget, 1e-12)
	require.InDelta(t, 5, last.KLTarget, 0)
	require.InDelta(t, 0.01, half.EntropyCoef, 1e-12)
	require.InDelta(t, 0, last.EntropyCoef, 0)
	require.InDelta(t, 0.15, half.ClipLow, 1e-12)
	require.InDelta(t, c.ClipHigh, last.ClipHigh, 0)
	require.Equal(t, last, c.At(99, 11), "a run that is extended stays where the schedule ended")
	require.InDelta(t, 1.5e-4, c.Schedule(10).At(5), 1e-12)

	c.EntropyTarget, c.EntropyStep = 1, 0.01
	c.Schedules.Entropy.To = 0.5
	require.InDelta(t, 0.75, c.At(5, 11).EntropyTarget, 1e-12)
	require.InDelta(t, 0.02, c.At(5, 11).EntropyCoef, 0)
}

func TestSchedulesRefuseEndsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		edit    func(*Config)
		message string
	}{
		"shape":         {func(c *Config) { c.Schedules.ClipLow.Shape = "steps" }, `schedules.clip_low: curve: shape is "steps"`},
		"learning rate": {func(c *Config) { c.Schedules.LearningRate = policy.Curve{Shape: policy.ShapeLinear, To: 1} }, "the rate's peak"},
		"no target left": {
			func(c *Config) { c.Schedules.KLTarget = policy.Curve{Shape: policy.ShapeLinear} },
			"schedules.kl_target.to is 0, must be above 0",
		},
		"no clip":     {func(c *Config) { c.Schedules.ClipHigh = policy.Curve{Shape: policy.ShapeLinear} }, "schedules.clip_high.to is 0"},
		"to nowhere":  {func(c *Config) { c.Schedules.Entropy.To = 0.5 }, "schedules.entropy: curve: to is 0.5, must be 0 without a shape"},
		"no entropy ": {func(c *Config) { c.EntropyTarget = 0.5 }, "entropy_step is 0, must be above 0 with an entropy_target"},
	} {
		c := DefaultConfig()
		x.edit(&c)
		err := c.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, x.message)
	}
}

func TestConfigRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		edit    func(*Config)
		message string
	}{
		"divergence by k1 in the loss": {func(c *Config) { c.KLPenalty = "loss_k1" }, "the gradient of k1 in the loss is 0 in expectation"},
		"divergence in both places":    {func(c *Config) { c.KLPenalty = "reward,loss_k2" }, "must be reward, loss_k2, loss_k3"},
		"gspo by tokens":               {func(c *Config) { c.Loss = LossGSPO }, "seq_mean_token_mean with gspo"},
		"dual clip of cispo":           {func(c *Config) { c.Loss, c.DualClip = LossCISPO, 3 }, "0 with cispo"},
		"a constant without a use":     {func(c *Config) { c.SequenceTokens = 100 }, "sequence_tokens is 100, must be 0 with token_mean"},
		"gae without a critic":         {func(c *Config) { c.ValueCoef = 0 }, "above 0 with gae"},
		"warm-up without a critic": {
			func(c *Config) { c.Advantage, c.ValueCoef, c.CriticWarmup = "grpo", 0, 2 }, "critic_warmup is 2, must be 0 without a value_coef",
		},
		"unknown loss":        {func(c *Config) { c.Loss = "" }, "loss is , must be clip, cispo or gspo"},
		"unknown aggregation": {func(c *Config) { c.Aggregation = "mean" }, "aggregation is mean"},
	} {
		c := DefaultConfig()
		x.edit(&c)
		err := c.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, x.message)
	}
}

// While the critic warms up the policy stays as it is, bit for bit, and so it does when a critic learns from stored trajectories of
// older versions.
func TestChecklist38CriticWarmsUpAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.CriticWarmup, c.LearningRate, c.EntropyCoef, c.KLPenalty = 2, 0.003, 0.1, KLInLossK2
	before := w.params.Clone()
	l := w.learner()
	in := w.input(c, w.sample(hone.Rand(2), prompts(16), 2, copies))
	in.Trajectories[3].Trajectory.Source, in.Trajectories[3].Breakdown.Outcome = hone.SourceSearch, hone.OutcomeRight
	moved := func() (policyMoved, valueMoved bool) {
		for i, tensor := range w.params.Tensors() {
			for k, v := range tensor.Data {
				if v != before.Tensors()[i].Data[k] {
					if tensor.Block() == policy.BlockValueHead {
						valueMoved = true
					} else {
						policyMoved = true
					}
				}
			}
		}
		return policyMoved, valueMoved
	}
	last := 0.0
	for i := range 2 {
		in.Number = i
		got, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		policyMoved, valueMoved := moved()
		require.False(t, policyMoved)
		require.True(t, valueMoved)
		require.Equal(t, 8, got.Stats.Steps, "they count as steps")
		if i > 0 {
			require.Less(t, got.Stats.ValueLoss, last)
		}
		last = got.Stats.ValueLoss
	}
	in.Number, in.ValueOnly, in.Version = 2, true, 7 // the trajectories are of version 0 by now
	got, err := l.Update(t.Context(), in)
	require.NoError(t, err)
	require.Less(t, got.Stats.ValueLoss, last)
	policyMoved, _ := moved()
	require.False(t, policyMoved)

	in.ValueOnly, in.Version = false, 0
	_, err = l.Update(t.Context(), in)
	require.NoError(t, err)
	policyMoved, _ = moved()
	require.True(t, policyMoved)
}

func TestDiagnosticsByHand(t *testing.T) {
	t.Parallel()
	var s Stats
	s.quantiles([]float64{4, 0, 1, 2, 3})
	require.InDeltaSlice(t, []float64{0, 0.2, 1, 2, 3, 3.8, 4}, []float64{
		s.AdvantageMin, s.AdvantageP05, s.AdvantageP25, s.AdvantageP50, s.AdvantageP75, s.AdvantageP95, s.AdvantageMax,
	}, 1e-12)
	require.InDelta(t, 0.1, relativeChange(kernel.Portable(), []float32{3, 4}, []float32{3.5, 4}), 1e-12)

	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.Epochs, c.Minibatches, c.Guard.GradNorm = 1, 1, 1e-6
	got, err := w.learner().Update(t.Context(), w.input(c, w.sample(hone.Rand(2), prompts(16), 3, copies)))
	require.NoError(t, err)
	squares := 0.0
	var names []string
	for _, b := range got.Stats.Blocks {
		names, squares = append(names, b.Name), squares+b.GradNorm*b.GradNorm
	}
	require.Equal(t, []string{policy.BlockEmbedding, "layer_0", policy.BlockFinal, policy.BlockValueHead}, names)
	require.InDelta(t, got.Stats.GradNorm*got.Stats.GradNorm, squares, 1e-6)
	require.Equal(t, 1, got.Stats.GradNormAlarms)
	require.Positive(t, got.Stats.UpdateRatio)
	require.InDelta(t, 3, got.Stats.LengthMean, 0)
	require.InDelta(t, 1, got.Stats.EffectiveSampleSize, 1e-6)
	require.Contains(t, got.Stats.BlockMetrics(), "grad_norm_layer_0")
}
