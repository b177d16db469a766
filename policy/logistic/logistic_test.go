package logistic_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/logistic"
)

func TestSoftplusIsTheLogarithmOfASigmoid(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{-30, -2.5, -1e-9, 0, 0.7, 30} {
		require.InDelta(t, -math.Log(logistic.Sigmoid(-x)), logistic.Softplus(x), 1e-12, "%v", x)
		require.InDelta(t, 1, logistic.Sigmoid(x)+logistic.Sigmoid(-x), 1e-15, "%v", x)
	}
	require.Equal(t, 0.5, logistic.Sigmoid(0))
	require.Equal(t, 1e4, logistic.Softplus(1e4))
	require.Zero(t, logistic.Softplus(-1e4))
	require.Zero(t, logistic.Sigmoid(-1e4))
}
