package mcts

import (
	"math"
	"math/rand/v2"
)

// addNoise mixes Dirichlet noise into the priors by which the root's children are explored: (1-f)*P + f*noise. The noise is
// drawn for the unmasked children in order; the priors that the tree reports stay clean. A root with noise asks
// for no further actions.
func (a *arena) addNoise(rng *rand.Rand) {
	a.clean = make([]float64, a.nodes[0].actions)
	draws := make([]float64, len(a.clean))
	sum := 0.0
	for e := range a.clean {
		a.clean[e] = *a.prior(int32(e))
		if a.clean[e] >= 0 {
			draws[e] = gamma(rng, a.cfg.NoiseAlpha)
			sum += draws[e]
		}
	}
	if sum == 0 { // every draw underflowed: there is no direction to take
		return
	}
	f := a.cfg.NoiseFraction
	for e, p := range a.clean {
		if p >= 0 {
			*a.prior(int32(e)) = (1-f)*p + f*draws[e]/sum
		}
	}
	a.seek(0)
}

// gamma draws from the Gamma distribution of shape alpha > 0 and scale 1. Marsaglia and Tsang 2000,
// doi:10.1145/358407.358414, with their boost for shapes below 1.
func gamma(rng *rand.Rand, alpha float64) float64 {
	if alpha < 1 {
		u := 1 - rng.Float64() // in (0, 1]
		return gamma(rng, alpha+1) * math.Pow(u, 1/alpha)
	}
	d := alpha - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - rng.Float64()
		if math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
