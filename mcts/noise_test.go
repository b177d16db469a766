package mcts

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// A Gamma(alpha, 1) has mean alpha and variance alpha. The tolerances are 5 standard errors of 40,000 draws at the largest
// alpha, whose fourth central moment is 3*alpha^2 + 6*alpha.
func TestGammaHasItsMoments(t *testing.T) {
	t.Parallel()
	const draws = 40_000
	for _, alpha := range []float64{0.1, 0.3, 1, 2.5} {
		rng := hone.Rand(hone.Seed(7, "gamma"))
		sum, squares := 0.0, 0.0
		for range draws {
			x := gamma(rng, alpha)
			require.GreaterOrEqual(t, x, 0.0)
			sum += x
			squares += x * x
		}
		mean := sum / draws
		require.InDelta(t, alpha, mean, 0.04)
		require.InDelta(t, alpha, squares/draws-mean*mean, 0.15)
	}
}

// The tables that Mctx's own tests expect, and the project's checklist quotes.
func TestChecklist45SequentialHalvingConsidersTheVisitsOfMctx(t *testing.T) {
	t.Parallel()
	counting := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	cases := []struct {
		actions, simulations int
		want                 []int32
	}{
		{8, 24, []int32{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}},
		{8, 13, []int32{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2}},
		{0, 16, counting},
		{1, 16, counting},
	}
	for _, c := range cases {
		require.Equal(t, c.want, consideredVisits(c.actions, c.simulations), "%d actions, %d simulations", c.actions, c.simulations)
	}
}
