package dpo

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/logistic"
	"github.com/hone-rl/hone/policy/policytest"
)

const (
	vocab = 12
	eos   = 11
)

func tiny(t *testing.T, seed uint64) *policy.Params {
	t.Helper()
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = vocab, 32, 1, 2, 1, 64, 32
	params, err := policy.Init(c, seed)
	require.NoError(t, err)
	return params
}

func trainer(t *testing.T, params *policy.Params) *policy.Trainer {
	t.Helper()
	out, err := policy.NewTrainer(params, kernel.Portable(), policy.TrainerOptions{})
	require.NoError(t, err)
	return out
}

// preferences are pairs of unequal lengths behind prompts that tell them apart.
func preferences(n int) []Pair {
	rng := hone.Rand(8)
	draw := func(length int) []hone.TokenID {
		var out []hone.TokenID
		for range length {
			out = append(out, hone.TokenID(rng.IntN(10)))
		}
		return append(out, eos)
	}
	out := make([]Pair, n)
	for i := range out {
		out[i] = Pair{Prefix: []hone.TokenID{hone.TokenID(i % 10), 10}, Chosen: draw(1 + i%3), Rejected: draw(1 + (i+1)%4)}
	}
	return out
}

// world is a policy, its reference, and an update of it.
func world(t *testing.T, reference uint64, pairs int) (*Learner, *policy.Params, UpdateInput) {
	t.Helper()
	params := tiny(t, 3)
	c := DefaultConfig()
	c.Epochs, c.BatchPairs, c.LearningRate, c.ChosenCoef = 2, 4, 1e-3, 0
	l, err := NewLearner(params, kernel.Portable(), c, 1)
	require.NoError(t, err)
	optimizer, err := policy.NewAdamW(params, c.AdamW())
	require.NoError(t, err)
	return l, params, UpdateInput{
		Config: c, Optimizer: optimizer, Reference: trainer(t, tiny(t, reference)), Pairs: preferences(pairs), Seed: 5, LearningRate: 1e-3,
	}
}

// Computed in plain Python from eq. 7 of arXiv:2305.18290.
func TestGoldenObjective(t *testing.T) {
	t.Parallel()
	chosen, rejected := side{logp: -4, logpRef: -5, tokens: 4}, side{logp: -9, logpRef: -7, tokens: 2}
	const tolerance = 1e-12
	j := objective{beta: 0.1}.judge(chosen, rejected)
	require.InDelta(t, 0.3, j.margin, tolerance)
	require.InDelta(t, 0.5543552444685271, j.loss, tolerance)
	require.InDelta(t, -0.042555748318834104, j.dChosen, tolerance)
	require.InDelta(t, 0.042555748318834104, j.dRejected, tolerance)
	require.InDelta(t, 1, j.imitation, tolerance)

	j = objective{beta: 0.1, smoothing: 0.1}.judge(chosen, rejected)
	require.InDelta(t, 0.5843552444685271, j.loss, tolerance)
	require.InDelta(t, -0.0325557483188341, j.dChosen, tolerance)

	j = objective{beta: 2, mean: true}.judge(chosen, rejected)
	require.InDelta(t, 2.5, j.margin, tolerance)
	require.InDelta(t, 0.0788897343, j.loss, 1e-9)
	require.InDelta(t, -0.5*logistic.Sigmoid(-2.5), j.dChosen, tolerance)
	require.InDelta(t, logistic.Sigmoid(-2.5), j.dRejected, tolerance)

	j = objective{beta: 0.1, chosenCoef: 0.2}.judge(chosen, rejected)
	require.InDelta(t, -0.042555748318834104-0.05, j.dChosen, tolerance)
	require.InDelta(t, 0.042555748318834104, j.dRejected, tolerance)
}

func TestObjectiveBearsExtremes(t *testing.T) {
	t.Parallel()
	for _, logp := range []float64{-1e5, 1e5} {
		j := objective{beta: 1}.judge(side{logp: logp, tokens: 1}, side{tokens: 1})
		require.InDelta(t, max(-logp, 0), j.loss, 1e-9)
		require.False(t, math.IsNaN(j.dChosen))
	}
}

func TestObjectiveFiniteDifferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-6, 6)
		o := objective{
			beta: rapid.Float64Range(0.01, 2).Draw(t, "beta"), smoothing: rapid.Float64Range(0, 0.4).Draw(t, "smoothing"),
			chosenCoef: rapid.Float64Range(0, 1).Draw(t, "coef"), mean: rapid.Bool().Draw(t, "mean"),
		}
		draw := func(name string) side {
			return side{
				logp: number.Draw(t, name), logpRef: number.Draw(t, name+" reference"), tokens: rapid.IntRange(1, 5).Draw(t, name+" tokens"),
			}
		}
		chosen, rejected := draw("chosen"), draw("rejected")
		total := func(dc, dr float64) float64 {
			c, r := chosen, rejected
			c.logp += dc
			r.logp += dr
			j := o.judge(c, r)
			return j.loss + o.chosenCoef*j.imitation
		}
		j := o.judge(chosen, rejected)
		const h = 1e-5
		for _, x := range []struct{ got, want float64 }{
			{j.dChosen, (total(h, 0) - total(-h, 0)) / (2 * h)}, {j.dRejected, (total(0, h) - total(0, -h)) / (2 * h)},
		} {
			if math.Abs(x.got-x.want) > 1e-6 {
				t.Fatalf("derivative %v, finite difference %v", x.got, x.want)
			}
		}
	})
}

// At policy = reference every margin is 0: the loss is ln 2 whatever the pairs, no pair counts as right, and the weight of each pair's
// gradient is beta/2.
func TestPolicyEqualToReferenceLosesLnTwo(t *testing.T) {
	t.Parallel()
	for _, length := range []Length{LengthSum, LengthMean} {
		l, _, in := world(t, 3, 8)
		in.Config.Epochs, in.Config.BatchPairs, in.Config.Length = 1, 8, length
		stats, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		require.InDelta(t, math.Ln2, stats.Loss, 1e-6)
		require.InDelta(t, 0, stats.Margin, 1e-6)
		require.InDelta(t, 0, stats.RatioChosen, 1e-6)
		require.Equal(t, 1, stats.Steps)
		require.Equal(t, 8, stats.Pairs)
	}
	j := objective{beta: 0.5}.judge(side{logp: -3, logpRef: -3, tokens: 2}, side{logp: -1, logpRef: -1, tokens: 2})
	require.Equal(t, math.Ln2, j.loss)
	require.Equal(t, -0.25, j.dChosen)
}

// The tolerance is that of central differences over a float32 forward pass with steps of 1e-2 in weights.
func TestWholeLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	for _, length := range []Length{LengthSum, LengthMean} {
		l, params, in := world(t, 9, 3)
		in.Config.Beta, in.Config.Length, in.Config.ChosenCoef, in.Config.Smoothing = 1, length, 0.3, 0.1
		l.now.objective, l.now.pairs, l.now.seen = newObjective(in.Config), len(in.Pairs), new(tally)
		refs, err := in.score(t.Context())
		require.NoError(t, err)
		loss := func() float64 {
			l.trainer.ZeroGrads()
			batch, items := in.pack([]int{0, 1, 2})
			for i := range items {
				items[i].refs = refs[i]
			}
			l.now.items = items
			value, err := l.trainer.Gradient(t.Context(), batch)
			require.NoError(t, err)
			return value
		}
		loss()
		policytest.Slopes(t, params.Flat(), l.trainer.Grads().Flat(), loss, 2e-3, 2e-3)
	}
}

func TestUpdateLearnsThePreferences(t *testing.T) {
	t.Parallel()
	l, _, in := world(t, 3, 10)
	in.Config.Epochs, in.Config.ChosenCoef = 20, 0.1
	var seen []Progress
	in.Progress = func(p Progress) { seen = append(seen, p) }
	stats, err := l.Update(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 1.0, stats.Accuracy)
	require.Less(t, stats.Loss, 0.6)
	require.Greater(t, stats.Margin, stats.MarginFirst)
	require.Greater(t, stats.RatioChosen, 0.0, "the cross-entropy holds up what is chosen")
	require.Less(t, stats.RatioRejected, 0.0)
	require.Equal(t, 60, stats.Steps)
	require.Equal(t, Progress{Phase: "update", Done: 60, Total: 60}, seen[len(seen)-1])
	tokens := 0
	for _, p := range in.Pairs {
		tokens += len(p.Chosen) + len(p.Rejected)
	}
	require.Equal(t, tokens, stats.Tokens)
}

func TestUpdateAgainGivesTheSameBitsHoweverItIsCut(t *testing.T) {
	t.Parallel()
	run := func(edit func(*UpdateInput)) (string, Stats) {
		l, params, in := world(t, 7, 9)
		edit(&in)
		stats, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		return params.Digest(), stats
	}
	digest, stats := run(func(*UpdateInput) {})
	again, same := run(func(*UpdateInput) {})
	require.Equal(t, digest, again)
	require.Equal(t, stats, same)
	_, cut := run(func(in *UpdateInput) { in.Config.BatchTokens = 20 })
	require.InDelta(t, stats.Loss, cut.Loss, 1e-6)
	require.InDelta(t, stats.GradNorm, cut.GradNorm, 1e-5)
	other, _ := run(func(in *UpdateInput) { in.Seed++ })
	require.NotEqual(t, digest, other)
}

// A pair of steps is a pair of whole lines whose common beginning counts for nothing.
func TestStepsAreLinesThatShareTheirBeginning(t *testing.T) {
	t.Parallel()
	shared := []hone.TokenID{4, 5, 6}
	whole, steps := preferences(4), preferences(4)
	for i := range whole {
		whole[i].Chosen = slices.Concat(shared, whole[i].Chosen)
		whole[i].Rejected = slices.Concat(shared, whole[i].Rejected)
		steps[i].Prefix = slices.Concat(steps[i].Prefix, shared)
	}
	run := func(pairs []Pair) Stats {
		l, _, in := world(t, 7, 4)
		in.Config.Epochs, in.Pairs = 1, pairs
		stats, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		return stats
	}
	a, b := run(whole), run(steps)
	require.InDelta(t, a.Loss, b.Loss, 1e-6)
	require.InDelta(t, a.Margin, b.Margin, 1e-6)
	require.InDelta(t, a.GradNorm, b.GradNorm, 1e-5)
}

func TestUpdateRefusesBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*UpdateInput)
		says string
	}{
		"no pairs":      {func(in *UpdateInput) { in.Pairs = nil }, "no pairs"},
		"no reference":  {func(in *UpdateInput) { in.Reference = nil }, "reference false"},
		"no optimiser":  {func(in *UpdateInput) { in.Optimizer = nil }, "optimiser false"},
		"learning rate": {func(in *UpdateInput) { in.LearningRate = math.NaN() }, "learning rate is NaN"},
		"empty side":    {func(in *UpdateInput) { in.Pairs[1].Rejected = nil }, "dpo pair 1: 2 tokens of prefix, 3 chosen, 0 rejected"},
		"no prefix":     {func(in *UpdateInput) { in.Pairs[0].Prefix = nil }, "0 tokens of prefix"},
		"the same":      {func(in *UpdateInput) { in.Pairs[0].Rejected = in.Pairs[0].Chosen }, "the same 2 tokens"},
		"too long":      {func(in *UpdateInput) { in.Config.BatchTokens = 8 }, "do not fit batch_tokens 8"},
		"config":        {func(in *UpdateInput) { in.Config.Beta, in.Config.Length = 0, "some" }, "beta is 0, must be above 0"},
	} {
		l, params, in := world(t, 7, 4)
		c.edit(&in)
		before := params.Digest()
		_, err := l.Update(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, c.says, name)
		require.Equal(t, before, params.Digest())
	}
	l, _, in := world(t, 7, 4)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Update(ctx, in)
	require.ErrorIs(t, err, context.Canceled)

	in.Optimizer, err = policy.NewAdamW(tiny(t, 3), in.Config.AdamW())
	require.NoError(t, err)
	l.params.Flat()[3] = float32(math.NaN())
	_, err = l.Update(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNonFinite)
}

func TestValidateJoinsAllFaults(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
	err := Config{Smoothing: 0.5, Length: "long", ChosenCoef: -1}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{
		"beta is 0", "smoothing is 0.5, must be in [0, 0.5)", "length is long, must be sum or mean", "chosen_coef is -1", "epochs is 0",
		"batch_pairs is 0", "learning_rate is 0",
	} {
		require.ErrorContains(t, err, part)
	}
}

// answer is a scored completion of one token.
func answer(problem string, sample int, token hone.TokenID, reward float64, outcome hone.Outcome) hone.Scored {
	return hone.Scored{
		Trajectory: hone.Trajectory{
			ID: hone.TrajectoryID{Sample: sample}, Problem: hone.Problem{Task: "t", Key: problem}, Source: hone.SourceSample,
			Prompt: []hone.TokenID{9}, Tokens: []hone.TokenID{token, eos}, Finish: hone.FinishStop,
		},
		Breakdown: hone.Breakdown{
			Outcome: outcome, Steps: 1, Layers: []hone.LayerScore{{Layer: "x", Weight: 1, Terms: []hone.Term{{Score: reward}}}},
		},
	}
}

func TestPairSamplesSetsRightAgainstWrong(t *testing.T) {
	t.Parallel()
	cut, searched := answer("a", 8, 8, 9, hone.OutcomeWrong), answer("a", 9, 9, 9, hone.OutcomeRight)
	cut.Trajectory.Finish = hone.FinishLength
	searched.Trajectory.Source = hone.SourceSearch
	all := []hone.Scored{
		answer("a", 0, 1, 0.5, hone.OutcomeRight), answer("a", 1, 2, 0.9, hone.OutcomeRight), answer("a", 2, 2, 0.9, hone.OutcomeRight),
		answer("a", 3, 3, -0.2, hone.OutcomeWrong), answer("a", 4, 4, -0.1, hone.OutcomeWrong), answer("a", 5, 5, -0.3, hone.OutcomeWrong),
		answer("a", 6, 6, 0, hone.OutcomeUnparsable), cut, searched,
		answer("b", 0, 1, 1, hone.OutcomeRight),
		answer("c", 0, 1, 0, hone.OutcomeWrong),
	}
	tokens := func(perProblem int) (out [][2]hone.TokenID) {
		for _, p := range PairSamples(all, perProblem) {
			require.Equal(t, []hone.TokenID{9}, p.Prefix)
			out = append(out, [2]hone.TokenID{p.Chosen[0], p.Rejected[0]})
		}
		return out
	}
	require.Equal(t, [][2]hone.TokenID{{2, 4}}, tokens(1))
	require.Equal(t, [][2]hone.TokenID{{2, 4}, {1, 3}, {2, 5}}, tokens(9))
	want := PairSamples(all, 9)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		require.Equal(t, want, PairSamples(all, 9))
	}
}
