package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

func TestGuardSaysWhatACycleCameTo(t *testing.T) {
	t.Parallel()
	g := Guard{EntropyFloor: 0.1, KLCeiling: 0.5, LengthMin: 5, LengthMax: 50, DivergenceWindow: 4, DivergenceDrop: 0.1}
	require.NoError(t, g.Validate())
	good := Health{Entropy: 0.5, KL: 0.1, Length: 20, Reward: 0.5, Accuracy: 0.5}
	require.Empty(t, g.Alarm(nil))
	require.Empty(t, g.Alarm([]Health{good, good, good, good, good}))
	for _, x := range []struct {
		edit func(*Health)
		want string
	}{
		{func(h *Health) { h.Entropy = 0.05 }, "entropy 0.05 is below guard.entropy_floor 0.1"},
		{func(h *Health) { h.KL = 0.75 }, "divergence from the reference 0.75 is above guard.kl_ceiling 0.5"},
		{func(h *Health) { h.Length = 3 }, "mean length 3 is below guard.length_min 5"},
		{func(h *Health) { h.Length = 60 }, "mean length 60 is above guard.length_max 50"},
		{
			func(h *Health) { h.Reward, h.Accuracy = 0.75, 0.25 },
			"over 4 cycles the reward rose from 0.5 to 0.625 while the accuracy fell from 0.500 to 0.375",
		},
	} {
		bad := good
		x.edit(&bad)
		require.Equal(t, x.want, g.Alarm([]Health{good, good, good, good, bad}))
		require.Empty(t, Guard{}.Alarm([]Health{good, good, good, good, bad}))
	}
	bad := good
	bad.Entropy, bad.Length = 0.05, 3
	require.Equal(t, "entropy 0.05 is below guard.entropy_floor 0.1; mean length 3 is below guard.length_min 5", g.Alarm([]Health{bad}))
}

// A run that was told to go on is not stopped again for what it was stopped for.
func TestGuardSpeaksOnce(t *testing.T) {
	t.Parallel()
	g := Guard{EntropyFloor: 0.1}
	low, high := Health{Entropy: 0.05}, Health{Entropy: 0.2}
	require.NotEmpty(t, g.Alarm([]Health{high, low}))
	require.Empty(t, g.Alarm([]Health{low, low}))
	require.Empty(t, g.Alarm([]Health{low, high}))
	require.Equal(t, 2, g.Window())
	require.Equal(t, 7, Guard{DivergenceWindow: 6}.Window())
}

// More reward and fewer right answers is what the window is for; more of both, or less of both, is not.
func TestGuardTellsDivergenceFromProgress(t *testing.T) {
	t.Parallel()
	g := Guard{DivergenceWindow: 4, DivergenceDrop: 0.1}
	history := func(reward, accuracy float64) []Health {
		var out []Health
		for i := range 4 {
			out = append(out, Health{Reward: 0.5 + reward*float64(i), Accuracy: 0.5 + accuracy*float64(i)})
		}
		return out
	}
	require.NotEmpty(t, g.Alarm(history(0.1, -0.1)))
	require.Empty(t, g.Alarm(history(0.1, 0.1)))
	require.Empty(t, g.Alarm(history(-0.1, -0.1)))
	require.Empty(t, g.Alarm(history(0.1, -0.02)))
	require.Empty(t, g.Alarm(history(0.1, -0.1)[1:]), "a window that isn't full says nothing")
}

func TestGuardRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, g := range []Guard{
		{GradNorm: -1},
		{EntropyFloor: math.NaN()},
		{LengthMin: 5, LengthMax: 5},
		{DivergenceWindow: 1, DivergenceDrop: 0.1},
		{DivergenceWindow: 4},
		{DivergenceDrop: 0.1},
		{DivergenceWindow: 4, DivergenceDrop: 2},
	} {
		require.ErrorIs(t, g.Validate(), hone.ErrInvalid, "%+v", g)
	}
}

func TestEntropyControllerHoldsTheTarget(t *testing.T) {
	t.Parallel()
	c := EntropyController{Target: 0.5, Step: 0.25}
	for _, x := range []struct{ coef, entropy, want float64 }{
		{1, 0.4, 1.25}, {1, 0.6, 0.75}, {0.125, 0.6, 0}, {0, 0.1, 0.25}, {0.5, 0.5, 0.5},
	} {
		got, err := c.Next(x.coef, x.entropy)
		require.NoError(t, err)
		require.InDelta(t, x.want, got, 1e-15)
	}
	kept, err := EntropyController{}.Next(0.3, 9)
	require.NoError(t, err)
	require.InDelta(t, 0.3, kept, 0)
	_, err = c.Next(1, math.NaN())
	require.ErrorIs(t, err, hone.ErrNonFinite)
}

// The coefficient that an update returns is the next one's, and the entropy comes back to its target from either side.
func TestEntropyIsSteered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 7, 1)
	l := w.learner()
	c := DefaultConfig()
	c.EntropyTarget, c.EntropyStep, c.LearningRate, c.KLCoef, c.TargetKL = 1.2, 0.02, 0.01, 0, 0
	in := w.input(c, nil)
	entropy := 0.0
	for i := range 40 {
		in.Trajectories = w.sample(hone.Rand(hone.Seed(1, "sample", i)), prompts(32), 1, copies)
		got, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		require.InDelta(t, in.EntropyCoef, got.Stats.EntropyCoef, 0)
		in.EntropyCoef, entropy = got.EntropyCoef, got.Stats.Entropy
	}
	require.Greater(t, entropy, 0.8)
	require.Positive(t, in.EntropyCoef)
}
