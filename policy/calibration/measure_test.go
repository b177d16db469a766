package calibration_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/calibration"
)

// Four forecasts in two bins, by hand:
//
//	0.2 no, 0.4 yes | 0.5 yes, 1.0 yes
//	Brier (0.04 + 0.36 + 0.25 + 0) / 4 = 0.1625; came 3/4, so the climate is 0.1875 and the skill 1 - 0.1625/0.1875 = 2/15
//	bins: said 0.3, came 0.5; said 0.75, came 1; ECE (2 * 0.2 + 2 * 0.25) / 4 = 0.225
func TestCalibrationByHand(t *testing.T) {
	t.Parallel()
	got, err := calibration.Measure([]calibration.Forecast{{0.2, false}, {0.5, true}, {0.4, true}, {1, true}}, 2)
	require.NoError(t, err)
	require.Equal(t, 4, got.Count)
	require.InDelta(t, 0.525, got.Said, 1e-12)
	require.InDelta(t, 0.75, got.Came, 1e-12)
	require.InDelta(t, 0.1625, got.Brier, 1e-12)
	require.InDelta(t, 0.1875, got.Climate, 1e-12)
	require.InDelta(t, 2.0/15, got.Skill, 1e-12)
	require.InDelta(t, 0.225, got.ECE, 1e-12)
	require.Len(t, got.Bins, 2)
	for i, want := range []calibration.Bin{
		{Low: 0, High: 0.5, Count: 2, Said: 0.3, Came: 0.5}, {Low: 0.5, High: 1, Count: 2, Said: 0.75, Came: 1},
	} {
		require.Equal(t, want.Count, got.Bins[i].Count)
		require.InDelta(t, want.Low, got.Bins[i].Low, 1e-12)
		require.InDelta(t, want.High, got.Bins[i].High, 1e-12)
		require.InDelta(t, want.Said, got.Bins[i].Said, 1e-12)
		require.InDelta(t, want.Came, got.Bins[i].Came, 1e-12)
	}
}

func TestWhatIsKnownIsSkilful(t *testing.T) {
	t.Parallel()
	known, err := calibration.Measure([]calibration.Forecast{{0, false}, {1, true}, {1, true}}, 10)
	require.NoError(t, err)
	require.Zero(t, known.Brier)
	require.Zero(t, known.ECE)
	require.InDelta(t, 1, known.Skill, 1e-12)
	same, err := calibration.Measure([]calibration.Forecast{{0.5, true}, {0.5, true}}, 10)
	require.NoError(t, err)
	require.Zero(t, same.Skill, "all came true: there is nothing to be skilful about")
}

func TestForecastsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, f := range [][]calibration.Forecast{nil, {{-0.1, true}}, {{1.1, true}}, {{math.NaN(), true}}} {
		_, err := calibration.Measure(f, 10)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
	_, err := calibration.Measure([]calibration.Forecast{{1, true}}, 0)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

// Saying the share that came true has no skill and no error; whatever is said, bins add up and the error is at most the root of the score.
func TestCalibrationAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) calibration.Forecast {
			return calibration.Forecast{Prob: rapid.Float64Range(0, 1).Draw(t, "prob"), True: rapid.Bool().Draw(t, "true")}
		}), 1, 50).Draw(t, "forecasts")
		got, err := calibration.Measure(all, rapid.IntRange(1, 12).Draw(t, "bins"))
		require.NoError(t, err)
		count := 0
		for _, b := range got.Bins {
			count += b.Count
		}
		require.Equal(t, got.Count, count)
		require.LessOrEqual(t, got.ECE, math.Sqrt(got.Brier)+1e-12)
		for i := range all {
			all[i].Prob = got.Came
		}
		flat, err := calibration.Measure(all, 10)
		require.NoError(t, err)
		require.InDelta(t, 0, flat.ECE, 1e-9)
		require.InDelta(t, flat.Climate, flat.Brier, 1e-9)
	})
}
