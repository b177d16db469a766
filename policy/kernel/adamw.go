package kernel

import "math"

// updateGrain is the number of parameters in one piece of work.
const updateGrain = 1 << 14

// AdamW holds the numbers of one optimiser step, the same for every parameter. Loshchilov and Hutter 2019, arXiv:1711.05101,
// alg. 2, with epsilon outside the root of the corrected second moment, as in Kingma and Ba 2015, alg. 1.
type AdamW struct {
	// Rate is the learning rate, Decay the weight decay (decoupled; the weight shrinks by Rate*Decay of itself).
	Rate, Decay float32
	// Beta1 and Beta2 are in [0, 1), Eps > 0.
	Beta1, Beta2, Eps float32
	// Correction1 and Correction2 are 1 - beta^t for step t, counted from 1.
	Correction1, Correction2 float32
	// GradScale multiplies every gradient first: below 1 where the global norm is clipped.
	GradScale float32
}

// Moments are the optimiser's running means of the gradient and of its square, as long as the weights.
type Moments struct{ M, V []float32 }

// Update moves the weights w by one step on the gradient g and updates the moments. All have one length.
func (s *Set) Update(a AdamW, w, g []float32, state Moments) {
	s.updates.parallel(s, len(w), updateGrain, updateWork{a.factors(), w, g, state}, func(s *Set, u *updateWork, lo, hi int) {
		s.vectors.adamw(u.w[lo:hi], u.g[lo:hi], u.state.M[lo:hi], u.state.V[lo:hi], &u.factors)
	})
}

// updateWork are the arguments of Update.
type updateWork struct {
	factors adamwFactors
	w, g    []float32
	state   Moments
}

// adamwFactors are the numbers of the inner loop, in the order in which the assembly reads them.
type adamwFactors struct {
	gradScale, beta1, rest1, beta2, rest2 float32
	// keep is what weight decay leaves of a weight; root is 1/sqrt(Correction2).
	keep, step, root, eps float32
}

func (a AdamW) factors() adamwFactors {
	return adamwFactors{
		gradScale: a.GradScale, beta1: a.Beta1, rest1: 1 - a.Beta1, beta2: a.Beta2, rest2: 1 - a.Beta2,
		keep: 1 - a.Rate*a.Decay, step: a.Rate / a.Correction1, root: 1 / float32(math.Sqrt(float64(a.Correction2))), eps: a.Eps,
	}
}

// adamw is one step, element by element. Where a processor fuses products with sums, the explicit conversions keep Go from doing so.
func adamw(w, g, m, v []float32, c *adamwFactors) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		d := g[i] * c.gradScale
		m[i] = float32(c.beta1*m[i]) + float32(c.rest1*d)
		v[i] = float32(c.beta2*v[i]) + float32(float32(c.rest2*d)*d)
		w[i] = float32(w[i]*c.keep) - float32(c.step*m[i])/(float32(float32(math.Sqrt(float64(v[i])))*c.root)+c.eps)
	}
}
