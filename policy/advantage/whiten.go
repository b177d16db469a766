package advantage

import "math"

// whitenFloor is added to the variance under the root, so that values which are all equal come out as 0.
const whitenFloor = 1e-8

// Whiten shifts and scales the values where mask is true to mean 0 and deviation 1, in place, over everything it is given: call
// it once with the valid tokens of a whole batch. A nil mask is all true; masked slots are neither read nor written.
//
//	x_i <- (x_i - mean) / sqrt(var + 1e-8),   var = sum (x_i - mean)^2 / (n - 1)
//
// The variance is the unbiased one. A single value becomes 0, as values that are all equal do.
func Whiten(values []float64, mask []bool) {
	whiten(values, mask, 0)
}

// WhitenBiased is [Whiten] with the variance of all there is, sum (x_i - mean)^2 / n.
func WhitenBiased(values []float64, mask []bool) {
	n := 0
	for i := range values {
		if mask == nil || mask[i] {
			n++
		}
	}
	if n > 0 {
		whiten(values, mask, 1/float64(n))
	}
}

// whiten takes a share of the unbiased variance off before it divides.
func whiten(values []float64, mask []bool, share float64) {
	mean, variance := Moments(values, mask)
	scale := 1 / math.Sqrt(variance-share*variance+whitenFloor)
	for i := range values {
		if mask == nil || mask[i] {
			values[i] = (values[i] - mean) * scale
		}
	}
}

// Rescale is [Whiten] about 0: it divides by the same deviation and leaves 0 where it is. Group advantages are centred
// already, each on its own group, and a group of one must stay at 0.
func Rescale(values []float64, mask []bool) {
	_, variance := Moments(values, mask)
	scale := 1 / math.Sqrt(variance+whitenFloor)
	for i := range values {
		if mask == nil || mask[i] {
			values[i] *= scale
		}
	}
}

// RescaleAboutMean is [Whiten] without the shift: it divides the distance from the mean by the same deviation and leaves the mean where
// it is, as rewards need whose sign says something.
func RescaleAboutMean(values []float64, mask []bool) {
	mean, variance := Moments(values, mask)
	scale := 1 / math.Sqrt(variance+whitenFloor)
	for i := range values {
		if mask == nil || mask[i] {
			values[i] = (values[i]-mean)*scale + mean
		}
	}
}

// Moments is the mean and the unbiased variance of the values where mask is true. The variance of fewer than two values is 0, and
// so is the mean of none. It takes two passes, for the sake of precision.
func Moments(values []float64, mask []bool) (mean, variance float64) {
	n := 0
	for i, v := range values {
		if mask == nil || mask[i] {
			mean += v
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	mean /= float64(n)
	if n == 1 {
		return mean, 0
	}
	for i, v := range values {
		if mask == nil || mask[i] {
			variance += (v - mean) * (v - mean)
		}
	}
	return mean, variance / float64(n-1)
}
