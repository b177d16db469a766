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
