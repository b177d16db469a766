package kernel

import "math"

// Softmax replaces a row of scores by probabilities that sum to 1. It panics on an empty row.
func (s *Set) Softmax(x []float32) {
	s.vectors.scale(1/s.vectors.expSum(x, -s.vectors.max(x)), x)
}

// Distribution is what is known of softmax(z) after one pass over z.
type Distribution struct {
	// LogSum is log(sum(exp(z))): the log-probability of token t is z[t] - LogSum.
	LogSum float32
	// Mean is the sum of p*z: the entropy, in nats, is LogSum - Mean.
	Mean float32
}

// Entropy is in nats, at least 0 up to rounding.
func (d Distribution) Entropy() float32 { return d.LogSum - d.Mean }

// Distribute sums up softmax(z), z being a row of logits already divided by the temperature. weights, as long as z, receives
// exp(z - max(z)): the probabilities up to a common factor.
func (s *Set) Distribute(z, weights []float32) Distribution {
	top := s.vectors.max(z)
	copy(weights, z)
	total := s.vectors.expSum(weights, -top)
	return Distribution{LogSum: top + float32(math.Log(float64(total))), Mean: s.vectors.dot(weights, z) / total}
}

// DistributeGrad turns a row of logits z into the gradient of dlogp*log p[target] + dentropy*H(p) by z, in place:
// dz[v] = dlogp*[v = target] - p[v]*(dlogp + dentropy*(z[v] - mean)). weights is scratch as long as z.
func (s *Set) DistributeGrad(z, weights []float32, d Distribution, target int, dlogp, dentropy float32) {
	copy(weights, z)
	s.vectors.expSum(weights, -d.LogSum)
	if dentropy == 0 {
		copy(z, weights)
		s.vectors.scale(-dlogp, z)
	} else {
		s.vectors.shift(dlogp/dentropy-d.Mean, z)
		s.vectors.mul(z, weights)
		s.vectors.scale(-dentropy, z)
	}
	z[target] += dlogp
}
