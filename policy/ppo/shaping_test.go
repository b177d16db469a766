package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/policytest"
)

func TestGoldenOverlong(t *testing.T) {
	t.Parallel()
	type config struct {
		Limit  int `json:"limit"`
		Buffer int `json:"buffer"`
	}
	type input struct {
		Tokens []int `json:"tokens"`
	}
	type want struct {
		Penalties []float64 `json:"penalties"`
	}
	g := policytest.ReadGolden[config, input, want](t, "testdata/g9_overlong.json")
	for i, n := range g.Input.Tokens {
		require.InDelta(t, g.Want.Penalties[i], overlong(n, g.Config.Limit, g.Config.Buffer), g.Tolerance)
		task := make([]float64, n)
		task[0] = 1
		got := Shaping{OverlongBuffer: g.Config.Buffer, OverlongPenalty: 0.5}.apply(task, hone.FinishStop, g.Config.Limit)
		require.InDelta(t, 1+0.5*g.Want.Penalties[i], sum(got), g.Tolerance)
	}
}

// The unshaped reward is what is reported, and charges come after shaping: the bound does not swallow them.
func TestChecklist18ShapedBeforeTheCharge(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Shaping = Shaping{Scale: 4, Bias: 0.5, Clip: 2}
	in := prepared(t, c, 0.1, -1.5, scored(0, 4, 0.25, 1))[0]
	require.Equal(t, []float64{0, 0.25, 0, 1}, in.task)
	require.InDeltaSlice(t, []float64{0, 1, 0, 1}, in.shaped, 1e-12) // 1 + 4 + 2 = 7, cut to 2 on the last token
	require.InDeltaSlice(t, []float64{-0.1, 0.9, -0.1, 0.9}, in.rewards, 1e-12)

	var stats Stats
	stats.describe([]*sample{in}, nil, advantage.Spread{})
	require.InDelta(t, 1.25, stats.RewardMean, 1e-12)
	require.InDelta(t, 0.75, stats.RewardShaping, 1e-12)
	require.InDelta(t, 0.4, stats.RewardCharge, 1e-12)
}

// Whatever a trajectory earned, a penalty leaves it with less.
func TestChecklist19PenaltiesNeverHelp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "tokens")
		task := rapid.SliceOfN(rapid.Float64Range(-2, 2), n, n).Draw(t, "task")
		c := Shaping{Scale: rapid.Float64Range(0.1, 3).Draw(t, "scale"), Bias: rapid.Float64Range(-1, 1).Draw(t, "bias")}
		free := sum(c.apply(task, hone.FinishLength, 20))
		c.MissingEOS = rapid.Float64Range(0, 2).Draw(t, "missing")
		require.InDelta(t, free-c.MissingEOS, sum(c.apply(task, hone.FinishLength, 20)), 1e-9)
		c.OverlongBuffer, c.OverlongPenalty = 5, 1
		require.LessOrEqual(t, sum(c.apply(task, hone.FinishLength, 20)), free-c.MissingEOS+1e-9)
	})
}

// The sampler says whether a completion ended by itself; an end-of-sequence token in the prompt or within the text says nothing.
func TestChecklist22MissingEndIsTheSamplersWord(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Shaping.MissingEOS = 0.5
	ended, cut := scored(0, 4, 0, 1), scored(1, 4, 0, 1)
	ended.Trajectory.Prompt = []hone.TokenID{7, 7}
	cut.Trajectory.Finish = hone.FinishLength
	cut.Trajectory.Prompt, cut.Trajectory.Tokens = []hone.TokenID{9, 9}, []hone.TokenID{9, 9, 9, 9}
	got := prepared(t, c, 0, 0, ended, cut)
	require.Equal(t, []float64{0, 0, 0, 1}, got[0].shaped)
	require.Equal(t, []float64{0, 0, 0, 0.5}, got[1].shaped)
}

func TestChecklist16WhitenedRewardsKeepTheirMean(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Shaping.Whiten = true
	got := prepared(t, c, 0, 0, scored(0, 4, 1, 2), scored(1, 2, -3))
	var raw, whitened []float64
	for _, s := range got {
		raw, whitened = append(raw, s.shaped...), append(whitened, s.rewards...)
	}
	before, _ := advantage.Moments(raw, nil)
	after, variance := advantage.Moments(whitened, nil)
	require.InDelta(t, before, after, 1e-12)
	require.InDelta(t, 1, variance, 1e-6)
}

func TestShapingOfZeroIsNothing(t *testing.T) {
	t.Parallel()
	task := []float64{0.5, -1}
	require.Equal(t, task, Shaping{}.apply(task, hone.FinishLength, 0))
	for name, c := range map[string]Shaping{
		"bias":            {Bias: math.NaN()},
		"scale":           {Scale: -1},
		"clip":            {Clip: math.Inf(1)},
		"missing_eos":     {MissingEOS: -0.5},
		"overlong_buffer": {OverlongBuffer: -1},
		"no penalty":      {OverlongBuffer: 5},
		"no buffer":       {OverlongPenalty: 1},
	} {
		require.ErrorIs(t, c.Validate(), hone.ErrInvalid, name)
	}
	w := newWorld(t, 1, 1)
	cfg := DefaultConfig()
	cfg.Shaping.OverlongBuffer, cfg.Shaping.OverlongPenalty = 4, 1
	_, err := w.learner().Update(t.Context(), w.input(cfg, w.sample(hone.Rand(2), prompts(4), 1, copies)))
	require.ErrorContains(t, err, "the token limit is 0, must be above shaping.overlong_buffer 4")
}
