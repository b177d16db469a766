package rewardmodel

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/policytest"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/policy/weights"
)

// TestGoldenObjective holds the loss against values worked by hand: scores of 1 and -0.5 have a margin of 1.5 and a sum of 0.5.
func TestGoldenObjective(t *testing.T) {
	t.Parallel()
	const tolerance = 1e-12
	j := judge(1, -0.5, 0.01)
	require.InDelta(t, 0.20141327798275246, j.loss, tolerance, "the natural log of 1 and e to the -1.5")
	require.InDelta(t, 0.25, j.center, tolerance)
	require.InDelta(t, -0.18242552380635635+0.01, j.dChosen, tolerance, "less the chance of the worse one; plus 2c times the sum")
	require.InDelta(t, 0.18242552380635635+0.01, j.dRejected, tolerance)
	require.InDelta(t, math.Ln2, judge(3, 3, 0).loss, tolerance)
	require.InDelta(t, 2e5, judge(-1e5, 1e5, 0).loss, tolerance, "no overflow")
	require.InDelta(t, 0, judge(1e5, -1e5, 0).loss, tolerance)
}

func TestObjectiveFiniteDifferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-6, 6)
		w, l, c := number.Draw(t, "chosen"), number.Draw(t, "rejected"), rapid.Float64Range(0, 1).Draw(t, "coef")
		total := func(dw, dl float64) float64 {
			j := judge(w+dw, l+dl, c)
			return j.loss + c*j.center
		}
		const h = 1e-5
		j := judge(w, l, c)
		for _, x := range [][2]float64{
			{j.dChosen, (total(h, 0) - total(-h, 0)) / (2 * h)}, {j.dRejected, (total(0, h) - total(0, -h)) / (2 * h)},
		} {
			if math.Abs(x[0]-x[1]) > 1e-6 {
				t.Fatalf("derivative %v, finite difference %v", x[0], x[1])
			}
		}
	})
}

func params(t *testing.T, seed uint64) *policy.Params {
	t.Helper()
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = token.Arithmetic().Vocab(), 32, 1, 2, 1, 64, 64
	out, err := policy.Init(c, seed)
	require.NoError(t, err)
	return out
}

// line is a random chain of sums; it is liked the more minus signs it has.
func line(rng *rand.Rand) string {
	var b strings.Builder
	b.WriteString("3")
	for range 2 + rng.IntN(5) {
		b.WriteString([]string{" + ", " - "}[rng.IntN(2)])
		b.WriteString([]string{"2", "5", "7"}[rng.IntN(3)])
	}
	return b.String()
}

// pairs are preferences for more minus signs, of which a part is the wrong way round.
func pairs(t testing.TB, n int, seed uint64) []dpo.Pair {
	t.Helper()
	rng := hone.Rand(seed)
	var out []dpo.Pair
	for len(out) < n {
		a, b := line(rng), line(rng)
		if strings.Count(a, "-") == strings.Count(b, "-") {
			continue
		}
		if strings.Count(a, "-") < strings.Count(b, "-") {
			a, b = b, a
		}
		var p dpo.Pair
		var err error
		p.Prefix, p.Chosen, err = Encode(token.Arithmetic(), "4 5 6 10\n", a, true)
		require.NoError(t, err)
		_, p.Rejected, err = Encode(token.Arithmetic(), "", b, true)
		require.NoError(t, err)
		out = append(out, p)
	}
	return out
}

func input(t *testing.T, n int) Input {
	t.Helper()
	in := Input{
		Params: params(t, 3), Set: kernel.Portable(), Config: DefaultConfig(), Seed: 7,
		Pairs: pairs(t, n, 1), HeldOut: pairs(t, 60, 2),
	}
	in.Config.LearningRate = 3e-3
	return in
}

func TestAKnownPreferenceIsLearned(t *testing.T) {
	t.Parallel()
	in := input(t, 400)
	steps := 0
	in.Progress = func(done, total int) {
		steps++
		require.Equal(t, steps, done)
		require.Equal(t, 26, total)
	}
	stats, err := Train(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 26, steps)
	require.Equal(t, 400, stats.Last.Pairs)
	require.Equal(t, 60, stats.HeldOut.Pairs)
	require.Greater(t, stats.HeldOut.Accuracy, 0.95)
	require.Less(t, stats.HeldOut.Loss, 0.4)
	require.Greater(t, stats.HeldOut.Margin, 1.0)
	require.Less(t, stats.Last.Loss, stats.First.Loss)
}

func TestAFreshModelKnowsNothing(t *testing.T) {
	t.Parallel()
	in := input(t, 1)
	l := &learner{in: in}
	var err error
	l.trainer, err = policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{})
	require.NoError(t, err)
	m, err := l.measure(t.Context(), in.HeldOut)
	require.NoError(t, err)
	require.InDelta(t, math.Ln2, m.Loss, 0)
	require.InDelta(t, 0.5, m.Accuracy, 0)
	require.Zero(t, m.Margin)
}

// TestWholeLossFiniteDifferences goes through the transformer: the slope of the loss along a direction is the gradient's.
func TestWholeLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	in := input(t, 4)
	in.Config.CenterCoef = 0.3
	rng := hone.Rand(4)
	for i := range in.Params.Flat() {
		in.Params.Flat()[i] += float32(rng.NormFloat64()) * 0.05 // also the head, which starts at 0
	}
	l := &learner{in: in}
	var err error
	l.trainer, err = policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{Loss: policy.NewValueLoss(l.loss)})
	require.NoError(t, err)
	loss := func() float64 {
		l.trainer.ZeroGrads()
		l.now.pairs, l.now.seen = 4, new(Measure)
		var batch policy.Batch
		batch, l.now.rows = pack(in.Pairs, []int{0, 1, 2, 3})
		value, err := l.trainer.Gradient(t.Context(), batch)
		require.NoError(t, err)
		return value
	}
	loss()
	policytest.Slopes(t, in.Params.Flat(), l.trainer.Grads().Flat(), loss, 3e-3, 3e-3)
}

func TestTrainingAgainGivesTheSameBitsHoweverItIsCut(t *testing.T) {
	t.Parallel()
	run := func(edit func(*Input)) (string, Stats) {
		in := input(t, 40)
		edit(&in)
		stats, err := Train(t.Context(), in)
		require.NoError(t, err)
		return in.Params.Digest(), stats
	}
	digest, stats := run(func(*Input) {})
	again, same := run(func(*Input) {})
	require.Equal(t, digest, again)
	require.Equal(t, stats, same)
	_, cut := run(func(in *Input) { in.Config.BatchTokens = 200 })
	require.InDelta(t, stats.HeldOut.Loss, cut.HeldOut.Loss, 1e-4)
	other, _ := run(func(in *Input) { in.Seed++ })
	require.NotEqual(t, digest, other)
}

func TestAStoredModelScoresAsTheTrainedOne(t *testing.T) {
	t.Parallel()
	in := input(t, 60)
	stats, err := Train(t.Context(), in)
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, Save(&file, in.Params, token.Arithmetic(), stats))
	s, err := Load(bytes.NewReader(file.Bytes()), in.Set)
	require.NoError(t, err)
	require.Equal(t, in.Params.Digest(), s.Digest())

	const prompt = "4 5 6 10\n"
	texts := []string{"3 - 2 - 5", "3 + 2", "", "10 - 4 = 6 (left: 5 6 6)\n"}
	trainer, err := policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{})
	require.NoError(t, err)
	var group sync.WaitGroup
	for _, text := range texts {
		before, after, err := Encode(token.Arithmetic(), prompt, text, true)
		require.NoError(t, err)
		whole := slices.Concat(before, after)
		var batch policy.Batch
		batch.Append(whole, len(whole))
		want, err := trainer.Evaluate(t.Context(), batch)
		require.NoError(t, err)
		first, why, err := s.Score(t.Context(), prompt, text, true)
		require.NoError(t, err)
		require.Empty(t, why)
		require.InDelta(t, want.Value[len(whole)-1], first, 1e-4, "the decoder and the graph are one model, to rounding")
		for range 3 {
			group.Go(func() {
				if again, _, err := s.Score(context.WithoutCancel(t.Context()), prompt, text, true); err != nil || again != first {
					t.Errorf("scored %v, then %v (%v)", first, again, err)
				}
			})
		}
	}
	group.Wait()
}

func TestWhatAModelCannotRead(t *testing.T) {
	t.Parallel()
	s, err := NewScorer(params(t, 3), token.Arithmetic(), kernel.Portable())
	require.NoError(t, err)
	for text, want := range map[string]string{
		"\x00\xff":                 "has no words",
		strings.Repeat("1 + ", 99): "reads 2 to 64 tokens, not",
	} {
		_, why, err := s.Score(t.Context(), "4 5 6 10\n", text, true)
		require.NoError(t, err)
		require.Contains(t, why, want)
	}
	_, why, err := s.Score(t.Context(), "4 5 6 10\n", "", false)
	require.NoError(t, err)
	require.Contains(t, why, "reads 2 to 64 tokens", "nothing was written")

	var file bytes.Buffer
	require.NoError(t, weights.Save(&file, params(t, 3), nil))
	_, err = Load(&file, kernel.Portable())
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "no reward model")
}

func TestTrainRefusesBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*Input)
		says string
	}{
		"no pairs":  {func(in *Input) { in.Pairs = nil }, "no pairs"},
		"no side":   {func(in *Input) { in.Pairs[1].Rejected = nil }, "pair 1: 8 tokens of prefix"},
		"the same":  {func(in *Input) { in.HeldOut[0].Rejected = in.HeldOut[0].Chosen }, "held-out pair 0"},
		"too long":  {func(in *Input) { in.Config.BatchTokens = 8 }, "do not fit batch_tokens 8"},
		"context":   {func(in *Input) { in.Pairs[0].Chosen = make([]hone.TokenID, 99) }, "do not fit the context of 64"},
		"config":    {func(in *Input) { in.Config.Epochs, in.Config.CenterCoef = 0, -1 }, "epochs is 0, must be at least 1"},
		"learning":  {func(in *Input) { in.Config.LearningRate = math.NaN() }, "learning_rate is NaN"},
		"batch":     {func(in *Input) { in.Config.BatchPairs, in.Config.BatchTokens = 0, 0 }, "batch_tokens is 0"},
		"clip norm": {func(in *Input) { in.Config.ClipNorm, in.Config.Warmup = math.Inf(1), -1 }, "clip_norm is +Inf"},
	} {
		in := input(t, 4)
		c.edit(&in)
		before := in.Params.Digest()
		_, err := Train(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, c.says, name)
		require.Equal(t, before, in.Params.Digest(), name)
	}
	in := input(t, 4)
	in.Params.Flat()[len(in.Params.Flat())-1] = float32(math.NaN()) // the bias of the head
	_, err := Train(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNonFinite)
}
