package replay

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTauAgreesWithThePublishedFormula uses values worked by hand: of five samples with one tie on each side, 8 of
// 10 pairs agree and none disagrees.
func TestTauAgreesWithThePublishedFormula(t *testing.T) {
	t.Parallel()
	got, ok := tau([]float64{1, 2, 2, 3, 4}, []float64{1, 3, 2, 4, 4})
	require.True(t, ok)
	require.InDelta(t, 8/math.Sqrt(9*9), got, 1e-12)
	got, ok = tau([]float64{1, 2, 3}, []float64{3, 2, 1})
	require.True(t, ok)
	require.InDelta(t, -1, got, 0)
	_, ok = tau([]float64{1, 1}, []float64{1, 2})
	require.False(t, ok)
}

func TestMoments(t *testing.T) {
	t.Parallel()
	var m moments
	for _, v := range []float64{1, 2, 3, 4} {
		m.add(v)
	}
	require.InDelta(t, 2.5, m.mean, 1e-12)
	require.InDelta(t, math.Sqrt(5.0/3), m.deviation(), 1e-12)
}
