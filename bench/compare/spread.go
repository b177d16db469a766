package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is the middle and the ends of repeated measurements; all are NaN where there are none.
type spread struct{ median, least, most float64 }

// spreadOf sorts a copy; of an even number the median is the mean of the middle two.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// String is the median with its ends.
func (s spread) String() string {
	if math.IsNaN(s.median) {
		return "—"
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.median), short(s.least), short(s.most))
}

// short is three digits at least, and all of a large number's whole part with commas between thousands.
func short(v float64) string {
	switch {
	case math.IsNaN(v):
		return "—"
	case math.Abs(v) < 1e-3 && v != 0:
		return fmt.Sprintf("%.1e", v)
	case math.Abs(v) < 10:
		return fmt.Sprintf("%.2f", v)
	case math.Abs(v) < 100:
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
