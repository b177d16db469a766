package ppo

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/policytest"
)

// sampler and trainer here are one graph at different batch sizes: only float32 sums differ.
const agreementTolerance = 1e-5

func TestChecklist05And23And42FirstRatioIsOne(t *testing.T) {
	t.Parallel()
	for _, temperature := range []float32{1, 0.7} {
		w := newWorld(t, 1, temperature)
		trajectories := w.sample(hone.Rand(2), prompts(32), 3, copies)
		got, err := w.learner().Update(t.Context(), w.input(DefaultConfig(), trajectories))
		require.NoError(t, err)
		require.Less(t, got.Stats.RatioFirstMaxDev, agreementTolerance)
	}

	hot := newWorld(t, 1, 2)
	cold := newWorld(t, 1, 1)
	got, err := cold.learner().Update(t.Context(), cold.input(DefaultConfig(), hot.sample(hone.Rand(2), prompts(32), 3, copies)))
	require.NoError(t, err)
	require.Greater(t, got.Stats.RatioFirstMaxDev, 0.01)
}

func TestChecklist23FirstMinibatchClipsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, 1)
	c := DefaultConfig()
	c.Epochs, c.Minibatches = 1, 1
	got, err := w.learner().Update(t.Context(), w.input(c, w.sample(hone.Rand(2), prompts(16), 3, copies)))
	require.NoError(t, err)
	require.Zero(t, got.Stats.ClipFracLow+got.Stats.ClipFracHigh)
	require.Less(t, got.Stats.KLOldK3, 1e-9)
	require.InDelta(t, 0, got.Stats.PolicyLoss, agreementTolerance) // whitened advantages add up to 0
	require.Equal(t, 1, got.Stats.Steps)
}

func TestChecklist44OrderOfTrajectoriesDoesNotMatter(t *testing.T) {
	t.Parallel()
	var digests []string
	var results []Result
	for _, reverse := range []bool{false, true} {
		w := newWorld(t, 1, 1)
		trajectories := w.sample(hone.Rand(2), prompts(24), 3, copies)
		if reverse {
			slices.Reverse(trajectories)
		}
		got, err := w.learner().Update(t.Context(), w.input(DefaultConfig(), trajectories))
		require.NoError(t, err)
		digests, results = append(digests, w.params.Digest()), append(results, got)
	}
	require.Equal(t, digests[0], digests[1])
	require.Equal(t, results[0], results[1])
}

// The parts of a minibatch are added in float32 in another order than the whole, and Adam's first step is about the sign of the
// gradient, so gradients are compared and not parameters.
func TestChecklist31PartsGiveTheFullGradient(t *testing.T) {
	t.Parallel()
	for name, edit := range lossForms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, 1)
			c := DefaultConfig()
			edit(&c)
			require.NoError(t, c.Validate())
			samples, _, _, err := gather(w.sample(hone.Rand(2), prompts(24), 3, copies), c, 0)
			require.NoError(t, err)
			require.NoError(t, w.input(c, nil).scoreReference(t.Context(), samples))
			_, err = estimate(samples, c, 0, 0)
			require.NoError(t, err)
			samples[3].imitation, samples[7].imitation = true, true

			l := w.learner()
			l.loss.objective = newObjective(c, 0)
			require.NoError(t, l.gradient(t.Context(), samples, 4096))
			whole := slices.Clone(l.trainer.Grads().Flat())
			for _, limit := range []int{4, 13, 50} {
				require.NoError(t, l.gradient(t.Context(), samples, limit))
				for i, g := range l.trainer.Grads().Flat() {
					require.InDelta(t, whole[i], g, 1e-6, "limit %d parameter %d", limit, i)
				}
			}
		})
	}
}

// lossForms are the losses and aggregations whose derivative is that of their value.
func lossForms() map[string]func(*Config) {
	return map[string]func(*Config){
		"clip":          func(*Config) {},
		"gspo":          func(c *Config) { c.Loss, c.Aggregation = LossGSPO, AggregateSequenceMean },
		"sequence mean": func(c *Config) { c.Aggregation = AggregateSequenceMean },
		"sequence sum":  func(c *Config) { c.Aggregation, c.SequenceTokens = AggregateSequenceSum, 4 },
		"dual clip, k2": func(c *Config) { c.DualClip, c.KLPenalty = 3, KLInLossK2 },
	}
}

// Central differences of a float32 loss of about 1 at step 1e-2 err by 1e-5 in rounding and by the third derivative.
const directionTolerance = 2e-3

func TestWholeLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	for name, edit := range lossForms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := DefaultConfig()
			c.EntropyCoef, c.KLPenalty = 0.05, KLInLossK3
			edit(&c)
			wholeLossDifferences(t, c)
		})
	}
}

// wholeLossDifferences holds the gradient in all parameters against central differences of the loss.
func wholeLossDifferences(t *testing.T, c Config) {
	t.Helper()
	w := newWorld(t, 1, 1)
	samples, _, _, err := gather(w.sample(hone.Rand(2), prompts(16), 3, copies), c, 0)
	require.NoError(t, err)
	require.NoError(t, w.input(c, nil).scoreReference(t.Context(), samples))
	_, err = estimate(samples, c, 0.1, 0)
	require.NoError(t, err)
	for _, s := range samples { // away from the sampling policy, so that no bound is at its kink
		for i := range s.logpOld {
			s.logpOld[i] += 0.05
			s.logpRef[i] -= 0.3
		}
	}
	samples[3].imitation = true

	l := w.learner()
	l.loss.objective = newObjective(c, 0.1)
	loss := func() float64 {
		l.trainer.ZeroGrads()
		batch, _ := pack(samples)
		require.NoError(t, l.loss.Set(batch.rows, Totals{Samples: 45, Imitations: 3, Sequences: 15}))
		value, err := l.trainer.Gradient(t.Context(), batch.batch)
		require.NoError(t, err)
		return value
	}
	loss()
	policytest.Slopes(t, w.params.Flat(), l.trainer.Grads().Flat(), loss, directionTolerance, 0)
}

// Old log-probabilities and values are the sampler's in every epoch, and advantages are whitened once: what a minibatch of the last
// epoch reads is what was estimated before the first, and nothing given is written to.
func TestChecklist28And29EveryEpochReadsTheSameNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.Epochs, c.TargetKL = 3, 0
	trajectories := w.sample(hone.Rand(2), prompts(16), 3, copies)
	before, err := json.Marshal(trajectories)
	require.NoError(t, err)
	l := w.learner()
	got, err := l.Update(t.Context(), w.input(c, trajectories))
	require.NoError(t, err)
	after, err := json.Marshal(trajectories)
	require.NoError(t, err)
	require.Equal(t, before, after)

	old, advantages := map[float32]bool{}, map[float32]bool{}
	var all []float64
	for i, x := range got.Targets {
		for k := range x.Advantages {
			old[trajectories[i].Trajectory.Logp[k]], advantages[x.Advantages[k]] = true, true
			all = append(all, float64(x.Advantages[k]))
		}
	}
	mean, variance := advantage.Moments(all, nil)
	require.InDelta(t, 0, mean, 1e-6)
	require.InDelta(t, 1, variance, 1e-4)
	for i, kind := range l.loss.rows.Kind { // of the very last minibatch
		if kind == KindSample {
			require.True(t, old[float32(l.loss.rows.LogpOld[i])])
			require.True(t, advantages[float32(l.loss.rows.Advantages[i])])
		}
	}
}

func TestChecklist18RewardIsReportedUncharged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	in := w.input(DefaultConfig(), w.sample(hone.Rand(2), prompts(16), 2, copies))
	other := newWorld(t, 9, 1)
	in.Reference, in.Beta = other.trainer(other.params), 0.5
	got, err := w.learner().Update(t.Context(), in)
	require.NoError(t, err)
	task, charged := 0.0, 0.0
	for i, x := range got.Targets {
		task += in.Trajectories[i].Breakdown.Total() / 16
		for _, r := range x.Rewards {
			charged += float64(r) / 16
		}
	}
	require.InDelta(t, task, got.Stats.RewardMean, 1e-6)
	require.NotZero(t, got.Stats.RewardCharge)
	require.InDelta(t, task-charged, got.Stats.RewardCharge, 1e-6)
	require.InDelta(t, 0.5*got.Stats.KLRefTrajectory, got.Stats.RewardCharge, 1e-6)
}

func TestChecklist33EntropyIsOfSampledTokensAtTheirTemperature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 0.5)
	c := DefaultConfig()
	c.Epochs, c.Minibatches = 1, 1
	logp, _ := w.next(prompts(8))
	want := 0.0
	for _, row := range logp {
		for _, l := range row {
			want -= math.Exp(float64(l)) * float64(l) / 8
		}
	}
	got, err := w.learner().Update(t.Context(), w.input(c, w.sample(hone.Rand(2), prompts(8), 1, copies)))
	require.NoError(t, err)
	require.InDelta(t, want, got.Stats.Entropy, 1e-5)
}

func TestChecklist39EarlyStopBeforeTheStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.Epochs, c.LearningRate, c.TargetKL = 10, 0.05, 1e-3
	got, err := w.learner().Update(t.Context(), w.input(c, w.sample(hone.Rand(2), prompts(32), 3, copies)))
	require.NoError(t, err)
	require.Equal(t, 1, got.Stats.StoppedEarly)
	require.GreaterOrEqual(t, got.Stats.Steps, 1)
	require.Less(t, got.Stats.Steps, 5)
}

func TestChecklist40NonFiniteStepIsSkippedAndCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.Epochs, c.Minibatches = 1, 4
	trajectories := w.sample(hone.Rand(2), prompts(16), 1, copies)
	trajectories[6].Breakdown.Layers[0].Terms[0].Score = 1e42 // its return overflows float32 in the value's slope
	got, err := w.learner().Update(t.Context(), w.input(c, trajectories))
	require.NoError(t, err)
	require.Equal(t, 1, got.Stats.SkippedSteps)
	require.Equal(t, 3, got.Stats.Steps)
	require.Len(t, got.Skipped, 1)
	require.Contains(t, got.Skipped[0].Samples, trajectories[6].Trajectory.ID)
	for _, v := range w.params.Flat() {
		require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
	}
}

func TestUpdateWithoutAFiniteStepIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	trajectories := w.sample(hone.Rand(2), prompts(8), 1, copies)
	for i := range trajectories {
		trajectories[i].Breakdown.Layers[0].Terms[0].Score = 1e42
	}
	before := w.params.Digest()
	_, err := w.learner().Update(t.Context(), w.input(c, trajectories))
	require.ErrorIs(t, err, hone.ErrNonFinite)
	require.Equal(t, before, w.params.Digest())
}

func TestImitationRaisesSearchsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.ImitationCoef, c.LearningRate, c.Epochs, c.TargetKL = 1, 0.01, 8, 0
	trajectories := w.sample(hone.Rand(2), prompts(16), 1, func(_, _ []hone.TokenID) []float64 { return []float64{0} })
	found := &trajectories[0]
	found.Trajectory.Source, found.Breakdown.Outcome = hone.SourceSearch, hone.OutcomeRight
	found.Trajectory.Tokens = []hone.TokenID{9}
	before, _ := w.next([][]hone.TokenID{found.Trajectory.Prompt})
	got, err := w.learner().Update(t.Context(), w.input(c, trajectories))
	require.NoError(t, err)
	after, _ := w.next([][]hone.TokenID{found.Trajectory.Prompt})
	require.Greater(t, after[0][9], before[0][9]+0.5)
	require.Equal(t, 1, got.Stats.Imitated)
	require.Equal(t, 15, got.Stats.Tokens)
	require.Equal(t, 1, got.Stats.ImitationTokens)
	require.Len(t, got.Targets, 15)
}

func TestUpdateResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	trajectories := w.sample(hone.Rand(2), prompts(16), 2, copies)
	in := w.input(c, trajectories)
	var phases []string
	var last Progress
	in.Progress = func(p Progress) {
		if !slices.Contains(phases, p.Phase) {
			phases = append(phases, p.Phase)
		}
		last = p
	}
	got, err := w.learner().Update(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []string{"reference", "update"}, phases)
	require.Equal(t, Progress{Phase: "update", Done: 8, Total: 8}, last)
	require.InDelta(t, 0, got.Stats.KLRefTrajectory, agreementTolerance) // the reference is the sampling policy
	require.InDelta(t, c.KLCoef*(1-0.2*16/c.KLHorizon), got.Beta, 1e-12)
	require.Equal(t, 32, got.Stats.Tokens)
	require.Len(t, got.Targets, 16)
	for i, x := range got.Targets {
		require.Equal(t, trajectories[i].Trajectory.ID, x.ID)
		require.Len(t, x.Advantages, 2)
		require.Len(t, x.Returns, 2)
		require.Len(t, x.LogpRef, 2)
	}
	total := 0.0
	for _, x := range trajectories {
		total += x.Breakdown.Total()
	}
	require.InDelta(t, total/16, got.Stats.RewardMean, 1e-12)

	encoded, err := json.Marshal(got.Stats)
	require.NoError(t, err)
	var metrics map[string]float64
	require.NoError(t, json.Unmarshal(encoded, &metrics))
	for _, name := range []string{"policy_loss", "kl_ref_k3", "ratio_first_max_dev", "explained_variance", "skipped_steps", "sampled"} {
		require.Contains(t, metrics, name)
	}
}

func TestUpdateRefusesBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	trajectories := w.sample(hone.Rand(2), prompts(4), 1, copies)
	for name, edit := range map[string]func(*UpdateInput){
		"config":        func(in *UpdateInput) { in.Config.ClipLow = -1 },
		"optimiser":     func(in *UpdateInput) { in.Optimizer = nil },
		"beta":          func(in *UpdateInput) { in.Beta = math.NaN() },
		"reference":     func(in *UpdateInput) { in.Reference = nil },
		"learning rate": func(in *UpdateInput) { in.LearningRate = 0 },
		"nothing":       func(in *UpdateInput) { in.Trajectories = nil },
	} {
		in := w.input(DefaultConfig(), trajectories)
		edit(&in)
		_, err := w.learner().Update(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.learner().Update(ctx, w.input(DefaultConfig(), trajectories))
	require.ErrorIs(t, err, context.Canceled)
}

func TestUpdateWithoutAReference(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	in := w.input(DefaultConfig(), w.sample(hone.Rand(2), prompts(8), 1, copies))
	in.Reference, in.Beta = nil, 0
	got, err := w.learner().Update(t.Context(), in)
	require.NoError(t, err)
	require.Zero(t, got.Stats.KLRefK3)
	require.Zero(t, got.Beta)
	require.Nil(t, got.Targets[0].LogpRef)
}
