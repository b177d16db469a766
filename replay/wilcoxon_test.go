package replay

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
)

// TestWilcoxonAgreesWithPublishedValues uses Darwin's maize (Fisher 1935, The Design of Experiments, section 17; the probability is that of
// SciPy's documentation of wilcoxon) and the smallest probabilities that there are.
func TestWilcoxonAgreesWithPublishedValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    []float64
		want float64
	}{
		"maize":           {[]float64{6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75}, 0.041259765625},
		"all one way":     {[]float64{1, 2, 3, 4, 5}, 2.0 / 32},
		"all tied":        {[]float64{1, 1, 1, 1, 1}, 2.0 / 32},
		"zeros":           {[]float64{0, 0, 1, 2, 3, 4, 5, 0}, 2.0 / 32},
		"balanced":        {[]float64{1, -1, 2, -2}, 1},
		"nothing differs": {[]float64{0, 0}, 1},
		"none":            {nil, 1},
	} {
		require.InDelta(t, c.want, wilcoxon(c.d), 1e-12, name)
	}
}

// TestWilcoxonCountsAllSigns holds it against every assignment of signs, and beyond the exact range against the counted distribution's own
// limit.
func TestWilcoxonCountsAllSigns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.IntRange(-4, 4), 1, 10).Draw(t, "differences")
		d := make([]float64, len(whole))
		for i, v := range whole {
			d[i] = float64(v)
		}
		require.InDelta(t, bySigns(d), wilcoxon(slices.Clone(d)), 1e-12)
	})
	rng := hone.Rand(hone.Seed(1, "wilcoxon"))
	var many []float64
	for range exactly {
		many = append(many, math.Round(100*(rng.NormFloat64()+0.2)))
	}
	exact := wilcoxon(slices.Clone(many))
	normal := wilcoxon(append(slices.Clone(many), 0.25)) // one more, of the lowest rank
	require.InDelta(t, exact, normal, 0.005)
	require.Greater(t, exact, 0.0)
	require.Less(t, exact, 0.2)
}

// bySigns is the slow twin: the share of all assignments of signs that are at least as lopsided.
func bySigns(d []float64) float64 {
	d = slices.DeleteFunc(slices.Clone(d), func(v float64) bool { return v == 0 })
	rank := func(i int) float64 {
		below, same := 0.0, 0.0
		for _, v := range d {
			switch {
			case math.Abs(v) < math.Abs(d[i]):
				below++
			case math.Abs(v) == math.Abs(d[i]):
				same++
			}
		}
		return below + (same+1)/2
	}
	sum := func(positive func(int) bool) (s float64) {
		for i := range d {
			if positive(i) {
				s += rank(i)
			} else {
				s -= rank(i)
			}
		}
		return math.Abs(s)
	}
	observed := sum(func(i int) bool { return d[i] > 0 })
	count := 0
	for signs := range 1 << len(d) {
		if sum(func(i int) bool { return signs>>i&1 == 1 }) >= observed-1e-9 {
			count++
		}
	}
	return float64(count) / float64(int(1)<<len(d))
}
