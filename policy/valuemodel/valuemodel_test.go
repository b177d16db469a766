package valuemodel

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/policy/weights"
)

func params(t *testing.T) *policy.Params {
	t.Helper()
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = token.Arithmetic().Vocab(), 32, 1, 2, 1, 64, 64
	out, err := policy.Init(c, 3)
	require.NoError(t, err)
	return out
}

func encode(t testing.TB, text string) []hone.TokenID {
	t.Helper()
	ids, err := token.Arithmetic().Encode(text)
	require.NoError(t, err)
	return ids
}

// draws are samples of a world in which a line is right in nine of ten where its first step is a difference, and else in one of ten; each
// step is a state.
func draws(t testing.TB, n int, seed uint64) []Example {
	t.Helper()
	rng := hone.Rand(seed)
	var reached []Reached
	prompt := encode(t, "4 5 6 10\n")
	for range n {
		op, chance := "+", 0.1
		if rng.IntN(2) == 0 {
			op, chance = "-", 0.9
		}
		right := 0.0
		if rng.Float64() < chance {
			right = 1
		}
		first := encode(t, []string{"9 ", "7 ", "5 "}[rng.IntN(3)]+op+" 2\n")
		second := encode(t, []string{"3 * 2\n", "8 + 4\n"}[rng.IntN(2)])
		one := append(append([]hone.TokenID{}, prompt...), first...)
		two := append(append([]hone.TokenID{}, one...), second...)
		reached = append(reached,
			Reached{Tokens: prompt, Target: right}, Reached{Tokens: one, Target: right},
			Reached{Tokens: two, Target: right, Ended: true, Logp: math.Log(1.0 / 12)})
	}
	return Join(reached, true)
}

func input(t *testing.T, n int) Input {
	t.Helper()
	c := DefaultConfig()
	c.Epochs, c.BatchTokens, c.LearningRate = 60, 256, 3e-3
	return Input{Params: params(t), Set: kernel.Portable(), Config: c, Examples: draws(t, n, 1), HeldOut: draws(t, n, 2), Seed: 7}
}

// TestTheChanceOfARightAnswerIsLearned trains on a world whose chances are known: the model says them of lines that it hasn't seen drawn.
func TestTheChanceOfARightAnswerIsLearned(t *testing.T) {
	t.Parallel()
	in := input(t, 400)
	last := 0
	in.Progress = func(done, total int) {
		require.Equal(t, last+1, done)
		require.LessOrEqual(t, done, total)
		last = done
	}
	stats, err := Train(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, stats.Steps, last)
	require.Less(t, stats.LastLoss, stats.FirstLoss)
	// A right answer has the entropy of 1/2 at the prompt and of 9/10 after it.
	entropy := -0.9*math.Log(0.9) - 0.1*math.Log(0.1)
	require.InDelta(t, (math.Ln2+2*entropy)/3, stats.HeldOutLoss, 0.04)
	require.Greater(t, stats.After.Skill, 0.35, "the best there is: 1 - (0.25 + 2 * 0.09) / 3 / 0.25 = 0.43")
	require.Less(t, stats.After.ECE, 0.08)

	var file bytes.Buffer
	require.NoError(t, Save(&file, in.Params, token.Arithmetic(), stats.Calibrated, stats.CalibratedEnds))
	m, err := Load(&file, in.Set)
	require.NoError(t, err)
	prompt := encode(t, "4 5 6 10\n")
	got, err := m.Score(t.Context(), []decode.Sequence{
		{Prompt: prompt, Tokens: encode(t, "9 - 2\n")}, {Prompt: prompt, Tokens: encode(t, "9 + 2\n8 + 4\n")},
	})
	require.NoError(t, err)
	require.InDelta(t, 0.5, got[0].Values[0], 0.1)
	require.InDelta(t, 0.9, got[0].Bootstrap, 0.1)
	require.InDelta(t, 0.1, got[1].Bootstrap, 0.1)
	for _, v := range got[1].Values {
		require.True(t, v >= 0 && v <= 1, "a probability: %v", v)
	}
}

func TestTrainingIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	var digests []string
	var all []Stats
	for range 2 {
		in := input(t, 40)
		in.Config.Epochs = 2
		stats, err := Train(t.Context(), in)
		require.NoError(t, err)
		digests, all = append(digests, in.Params.Digest()), append(all, stats)
	}
	require.Equal(t, digests[0], digests[1])
	require.Equal(t, all[0], all[1])
}

func TestStatesOnTheWayShareAnExample(t *testing.T) {
	t.Parallel()
	of := func(text string, target float64) Reached { return Reached{Tokens: encode(t, text), Target: target} }
	got := Join([]Reached{of("3 + 2\n", 1), of("3", 1), of("3 + 2\n", 0), of("3", 0), of("4\n", 1), of("3", 0), of("3 - 1", 0)}, true)
	require.Len(t, got, 3)
	states, texts := 0, make([]string, len(got))
	for i, e := range got {
		texts[i] = token.Arithmetic().Decode(e.Tokens)
		states += len(e.States)
		require.True(t, e.Sampled)
		for _, s := range e.States {
			require.Contains(t, []float64{0, 1.0 / 3, 0.5, 1}, s.Target)
		}
		if len(e.States) == 2 {
			require.Equal(t, State{At: len(encode(t, "3")), Target: 1.0 / 3, Weight: 3}, e.States[0], "once, with the first line through it")
		}
	}
	require.ElementsMatch(t, []string{"3 + 2\n", "3 - 1", "4\n"}, texts)
	require.Equal(t, 4, states)
}

// drawn are outcomes of a known calibration.
func drawn(n int, want Calibration) []said {
	rng := hone.Rand(3)
	var all []said
	for range n {
		one := said{logit: 3 * rng.NormFloat64(), logp: -5 * rng.Float64(), weight: 1}
		if rng.Float64() < want.Prob(one.logit, one.logp) {
			one.target = 1
		}
		all = append(all, one)
	}
	return all
}

// TestCalibrationRecoversWhatLogitsMean draws outcomes from a known map, and finds it again.
func TestCalibrationRecoversWhatLogitsMean(t *testing.T) {
	t.Parallel()
	want := Calibration{Scale: 0.6, Offset: -0.8}
	got := fitStates(drawn(40000, want))
	require.InDelta(t, want.Scale, got.Scale, 0.03)
	require.InDelta(t, want.Offset, got.Offset, 0.05)
	require.Zero(t, got.Likelihood)

	require.Equal(t, plain(), fitStates(nil))
	require.Equal(t, plain(), fitStates([]said{{logit: 1, target: 1, weight: 5}, {logit: 2, target: 1, weight: 1}}), "nothing was wrong")
	require.Equal(t, plain(), fitStates([]said{{logit: -1, target: 1, weight: 50}, {logit: 1, weight: 50}}), "more would mean less")
	sure := fitStates([]said{{logit: -1, weight: 50}, {logit: 1, target: 1, weight: 50}})
	require.InDelta(t, 51.0/52, sure.Prob(1, 0), 1e-6, "Platt's targets: (50 + 1) / (50 + 2)")
}

func TestEndsAreCalibratedByTheirLikelihoodToo(t *testing.T) {
	t.Parallel()
	want := Calibration{Scale: 1.2, Offset: 1.5, Likelihood: 0.5}
	all := drawn(40000, want)
	got := fitEnds(all)
	require.InDelta(t, want.Scale, got.Scale, 0.05)
	require.InDelta(t, want.Offset, got.Offset, 0.1)
	require.InDelta(t, want.Likelihood, got.Likelihood, 0.03)
	for i := range all {
		all[i].logp = -all[i].logp
	}
	require.Equal(t, fitStates(all), fitEnds(all), "a likelihood that would count the wrong way round doesn't count")
	for i := range all {
		all[i].logp = 0
	}
	require.InDelta(t, fitStates(all).Prob(1, 0), fitEnds(all).Prob(1, 0), 1e-6)

	states := Calibration{Scale: 1.7, Offset: 0.2}
	m := Model{states: states, ends: want}
	for _, z := range []float64{-6, -0.3, 0, 2, 5} {
		require.InDelta(t, want.Prob(z, -3), m.Ended(states.Prob(z, 0), -3), 1e-6)
	}
	require.False(t, math.IsNaN(m.Ended(1, -3)) || math.IsNaN(m.Ended(0, -300)), "what a float32 rounds to 0 or 1 has a logit")
}

func TestCalibrationIsFiniteWhateverWasSaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) said {
			return said{
				logit: rapid.Float64Range(-30, 30).Draw(t, "logit"), logp: rapid.Float64Range(-60, 0).Draw(t, "logp"),
				target: float64(rapid.IntRange(0, 1).Draw(t, "right")), weight: float64(rapid.IntRange(1, 9).Draw(t, "weight")),
			}
		}), 1, 40).Draw(t, "said")
		for _, c := range []Calibration{fitStates(all), fitEnds(all)} {
			if !(c.Scale > 0) || math.IsInf(c.Scale, 0) || !(c.Likelihood >= 0) || math.IsInf(c.Likelihood, 0) || math.IsNaN(c.Offset) ||
				math.IsInf(c.Offset, 0) {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// TestWholeLossFiniteDifferences holds the loss of a batch against its slopes.
func TestWholeLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "states")
		l := &learner{}
		values := make([]float64, n+2)
		for i := range values {
			values[i] = rapid.Float64Range(-5, 5).Draw(t, "value")
		}
		for i := range n {
			l.now.rows = append(l.now.rows, i+1)
			l.now.targets = append(l.now.targets, rapid.Float64Range(0, 1).Draw(t, "target"))
			l.now.weights = append(l.now.weights, rapid.Float64Range(0.1, 9).Draw(t, "weight"))
			l.now.total += l.now.weights[i]
		}
		slopes := make([]float64, len(values))
		l.loss(values, slopes)
		const h = 1e-5
		for i := range values {
			up, down := append([]float64{}, values...), append([]float64{}, values...)
			up[i] += h
			down[i] -= h
			scratch := make([]float64, len(values))
			if want := (l.loss(up, scratch) - l.loss(down, scratch)) / (2 * h); math.Abs(slopes[i]-want) > 1e-7 {
				t.Fatalf("slope %d is %v, finite difference %v", i, slopes[i], want)
			}
		}
	})
}

func TestWhatCannotBeLearnedIsRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Input){
		"no examples":                 func(in *Input) { in.Examples = nil },
		"example 0: no states":        func(in *Input) { in.Examples = []Example{{Tokens: []hone.TokenID{1}}} },
		"held-out example 0: 0 token": func(in *Input) { in.HeldOut = []Example{{}} },
		"target 2 and weight 1": func(in *Input) {
			in.Examples = []Example{{Tokens: []hone.TokenID{1}, States: []State{{At: 1, Target: 2, Weight: 1}}}}
		},
		"state after 2 of 1 tokens": func(in *Input) {
			in.Examples = []Example{{Tokens: []hone.TokenID{1}, States: []State{{At: 2, Weight: 1}}}}
		},
		"300 tokens: want 1 to 64": func(in *Input) {
			in.Examples = []Example{{Tokens: make([]hone.TokenID, 300), States: []State{{At: 2, Weight: 1}}}}
		},
		"epochs is 0":        func(in *Input) { in.Config.Epochs = 0 },
		"learning_rate is 0": func(in *Input) { in.Config.LearningRate = 0 },
		"batch_tokens is 0":  func(in *Input) { in.Config.BatchTokens = 0 },
		"warmup is -1":       func(in *Input) { in.Config.Warmup = -1 },
		"clip_norm is -1":    func(in *Input) { in.Config.ClipNorm = -1 },
	} {
		in := input(t, 4)
		before := in.Params.Digest()
		change(&in)
		_, err := Train(t.Context(), in)
		require.ErrorIs(t, err, hone.ErrInvalid, want)
		require.ErrorContains(t, err, want)
		require.Equal(t, before, in.Params.Digest())
	}
}

func TestOtherFilesAreNoModels(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	require.NoError(t, weights.Save(&file, params(t), nil))
	_, err := Load(&file, kernel.Portable())
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "no process-value model")
	_, err = Load(strings.NewReader("nothing"), kernel.Portable())
	require.ErrorIs(t, err, hone.ErrCorrupt)
}
