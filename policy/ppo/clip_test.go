package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestChecklist25DualClipOnlyBelowZero(t *testing.T) {
	t.Parallel()
	b := clipBounds{low: 0.2, high: 0.2, dual: 3}
	loss, slope, side := policyTerm(math.Log(10), -4, b)
	require.InDelta(t, 12, loss, 1e-12)
	require.Zero(t, slope)
	require.Equal(t, clipDual, side)

	loss, _, side = policyTerm(math.Log(10), 4, b)
	require.InDelta(t, -4.8, loss, 1e-12)
	require.Equal(t, clipHigh, side)
}

func TestChecklist26ClipFractionsCountStrictlyLarger(t *testing.T) {
	t.Parallel()
	b := clipBounds{low: 0.2, high: 0.3}
	for _, c := range []struct {
		name      string
		rho, adv  float64
		want      clipSide
		wantSlope float64
	}{
		{"within", 1.1, 1, clipNone, -1.1},
		{"above, better", 1.5, 1, clipHigh, 0},
		{"above, worse", 1.5, -1, clipNone, 1.5},
		{"below, worse", 0.5, -1, clipLow, 0},
		{"below, better", 0.5, 1, clipNone, -0.5},
		{"no advantage", 5, 0, clipNone, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, slope, side := policyTerm(math.Log(c.rho), c.adv, b)
			require.Equal(t, c.want, side)
			require.InDelta(t, c.wantSlope, slope, 1e-12)
		})
	}

	seen := newTally()
	seen.policy.n = 4
	for _, side := range []clipSide{clipHigh, clipHigh, clipLow, clipNone} {
		seen.countClip(side, false)
	}
	require.InDelta(t, 0.25, seen.fraction(seen.low), 0)
	require.InDelta(t, 0.5, seen.fraction(seen.high), 0)
}

func TestChecklist23RatioOneClipsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Float64Range(-5, 5).Draw(t, "advantage")
		b := clipBounds{low: 0.2, high: 0.28, dual: rapid.SampledFrom([]float64{0, 3}).Draw(t, "dual")}
		loss, slope, side := policyTerm(0, a, b)
		require.InDelta(t, -a, loss, 0)
		require.InDelta(t, -a, slope, 0) // the gradient of -A*log p: REINFORCE
		require.Equal(t, clipNone, side)
	})
}

func TestChecklist27ValueClip(t *testing.T) {
	t.Parallel()
	loss, slope, held := valueTerm(1, 0.5, 2, 0.2)
	require.InDelta(t, 0.845, loss, 1e-12) // (0.7 - 2)^2 / 2
	require.Zero(t, slope)
	require.True(t, held)

	loss, slope, held = valueTerm(1, 0.5, 2, 0)
	require.InDelta(t, 0.5, loss, 1e-12)
	require.InDelta(t, -1, slope, 1e-12)
	require.False(t, held)

	loss, slope, held = valueTerm(0, 0.5, 2, 0.2) // moved away from the return: pulled back
	require.InDelta(t, 2, loss, 1e-12)
	require.InDelta(t, -2, slope, 1e-12)
	require.False(t, held)
}
