package advantage

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
)

// drawEpisode is an episode of 1 to 20 tokens with at least one of them the policy's own.
func drawEpisode(t *rapid.T) Episode {
	n := rapid.IntRange(1, 20).Draw(t, "tokens")
	number := rapid.Float64Range(-10, 10)
	e := Episode{
		Rewards:   rapid.SliceOfN(number, n, n).Draw(t, "rewards"),
		Values:    rapid.SliceOfN(number, n, n).Draw(t, "values"),
		Mask:      rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "mask"),
		Bootstrap: number.Draw(t, "bootstrap"),
	}
	e.Mask[rapid.IntRange(0, n-1).Draw(t, "own")] = true
	return e
}

// slowAdvantage is A_t as the sum of (gamma*lambda)^k * delta_{t+k} over the policy's own tokens: eq. 16 as it is written.
func slowAdvantage(e Episode, gamma, lambda float64, from int) float64 {
	var own []int
	for t := from; t < len(e.Rewards); t++ {
		if e.Mask == nil || e.Mask[t] {
			own = append(own, t)
		}
	}
	sum := 0.0
	for k, t := range own {
		next := e.Bootstrap
		if k+1 < len(own) {
			next = e.Values[own[k+1]]
		}
		sum += math.Pow(gamma*lambda, float64(k)) * (e.Rewards[t] + gamma*next - e.Values[t])
	}
	return sum
}

const sumTolerance = 1e-9 // sums of at most 20 terms of at most 30

func TestAdvantagesEqualTheSum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := drawEpisode(t)
		gamma, lambda := rapid.Float64Range(0, 1).Draw(t, "gamma"), rapid.Float64Range(0, 1).Draw(t, "lambda")
		adv, ret, err := e.Advantages(gamma, lambda)
		require.NoError(t, err)
		for i, own := range e.Mask {
			if !own {
				require.Zero(t, adv[i])
				require.Zero(t, ret[i])
				continue
			}
			require.InDelta(t, slowAdvantage(e, gamma, lambda, i), adv[i], sumTolerance)
			require.InDelta(t, adv[i]+e.Values[i], ret[i], sumTolerance)
		}
	})
}

func TestChecklist02MaskedSlotsTouchNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := drawEpisode(t)
		want, wantReturns, err := e.Advantages(0.99, 0.95)
		require.NoError(t, err)
		for i, own := range e.Mask {
			if !own {
				e.Rewards[i], e.Values[i] = math.NaN(), math.Inf(1)
			}
		}
		got, gotReturns, err := e.Advantages(0.99, 0.95)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, wantReturns, gotReturns)

		before := append([]float64(nil), got...)
		Whiten(before, e.Mask)
		for i, own := range e.Mask {
			if !own {
				got[i] = math.NaN()
			}
		}
		Whiten(got, e.Mask)
		for i, own := range e.Mask {
			if own {
				require.Equal(t, before[i], got[i])
			}
		}
	})
}

func TestChecklist09GapsAreSkippedNotZeroed(t *testing.T) {
	t.Parallel()
	with := Episode{Rewards: []float64{1, 9, 9, 2}, Values: []float64{3, 9, 9, 4}, Mask: []bool{true, false, false, true}}
	without := Episode{Rewards: []float64{1, 2}, Values: []float64{3, 4}}
	a, _, err := with.Advantages(0.9, 0.8)
	require.NoError(t, err)
	b, _, err := without.Advantages(0.9, 0.8)
	require.NoError(t, err)
	require.Equal(t, []float64{a[0], a[3]}, b)
}

func TestChecklist17ClosedForms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := drawEpisode(t)
		e.Mask = nil
		gamma := rapid.Float64Range(0, 1).Draw(t, "gamma")

		myopic, _, err := e.Advantages(0, 0)
		require.NoError(t, err)
		temporal, _, err := e.Advantages(gamma, 0)
		require.NoError(t, err)
		full, returns, err := e.Advantages(gamma, 1)
		require.NoError(t, err)

		g, next := e.Bootstrap, e.Bootstrap
		for i, reward := range slices.Backward(e.Rewards) {
			g = reward + gamma*g
			require.InDelta(t, reward-e.Values[i], myopic[i], sumTolerance)
			require.InDelta(t, reward+gamma*next-e.Values[i], temporal[i], sumTolerance)
			require.InDelta(t, g-e.Values[i], full[i], sumTolerance)
			require.InDelta(t, g, returns[i], sumTolerance)
			next = e.Values[i]
		}
	})
}

func TestAdvantagesRefuseUnequalLengths(t *testing.T) {
	t.Parallel()
	_, _, err := Episode{Rewards: []float64{1}, Values: []float64{1, 2}}.Advantages(1, 1)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, _, err = Episode{Rewards: []float64{1}, Values: []float64{1}, Mask: []bool{}}.Advantages(1, 1)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestChecklist15Whitening(t *testing.T) {
	t.Parallel()
	one := []float64{7}
	Whiten(one, nil)
	require.Equal(t, []float64{0}, one)

	equal := []float64{3, 3, 3}
	Whiten(equal, nil)
	require.Equal(t, []float64{0, 0, 0}, equal)

	none := []float64{5, 6}
	Whiten(none, []bool{false, false})
	require.Equal(t, []float64{5, 6}, none)

	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-100, 100), 2, 50).Draw(t, "values")
		_, before := Moments(values, nil)
		rescaled := append([]float64(nil), values...)
		Rescale(rescaled, nil)
		Whiten(values, nil)
		mean, variance := Moments(values, nil)
		require.InDelta(t, 0, mean, 1e-6)
		require.InDelta(t, before/(before+whitenFloor), variance, 1e-6)
		_, rescaledVariance := Moments(rescaled, nil)
		require.InDelta(t, variance, rescaledVariance, 1e-6)
	})
}

func TestRescaleKeepsZero(t *testing.T) {
	t.Parallel()
	values := []float64{0, 2, 4, math.NaN()}
	Rescale(values, []bool{true, true, true, false})
	require.Zero(t, values[0])
	require.InDelta(t, 1, values[1], 1e-6)
	require.InDelta(t, 2, values[2], 1e-6)
	require.True(t, math.IsNaN(values[3]))
}

func TestChecklist21GroupOfOneIsZero(t *testing.T) {
	t.Parallel()
	adv, err := LeaveOneOut([]Member{{Rewards: []float64{1, 2, 3}, Ends: []int{1, 3}}})
	require.NoError(t, err)
	require.Equal(t, [][]float64{{0, 0, 0}}, adv)
}

func TestLeaveOneOutOfStepRewards(t *testing.T) {
	t.Parallel()
	adv, err := LeaveOneOut([]Member{
		{Rewards: []float64{0, 1, 0, 5}, Ends: []int{2, 4}}, // to go: 6 6 5 5
		{Rewards: []float64{2, 0, 4}, Ends: []int{1, 2, 3}}, // to go: 6 4 4
		{Rewards: []float64{3}, Ends: []int{1}},             // to go: 3, at every step
	})
	require.NoError(t, err)
	require.Equal(t, [][]float64{
		{6 - 4.5, 6 - 4.5, 5 - 3.5, 5 - 3.5},
		{6 - 4.5, 0, 0},
		{3 - 6},
	}, adv)
}

func TestLeaveOneOutRefuseBadSteps(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]Member{
		"no steps":      {Rewards: []float64{1}},
		"empty step":    {Rewards: []float64{1}, Ends: []int{0, 1}},
		"beyond tokens": {Rewards: []float64{1}, Ends: []int{2}},
		"short":         {Rewards: []float64{1, 2}, Ends: []int{1}},
	} {
		_, err := LeaveOneOut([]Member{m})
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
}
