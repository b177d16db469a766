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
	s.Parallel(len(w), updateGrain, func(lo, hi int) {
		update(a, w[lo:hi], g[lo:hi], state.M[lo:hi], state.V[lo:hi])
	})
}

func update(a AdamW, w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	step := a.Rate / a.Correction1
	root := 1 / float32(math.Sqrt(float64(a.Correction2)))
	keep := 1 - a.Rate*a.Decay
	for i := range w {
		d := g[i] * a.GradScale
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*d
		v[i] = a.Beta2*v[i] + (1-a.Beta2)*d*d
		w[i] = w[i]*keep - step*m[i]/(float32(math.Sqrt(float64(v[i])))*root+a.Eps)
	}
}

// SquaredNorm is the sum of squares of x, in pieces of fixed size added in float64.
func (s *Set) SquaredNorm(x []float32) float64 {
	const piece = 1 << 10
	total := 0.0
	for ; len(x) > 0; x = x[min(piece, len(x)):] {
		part := x[:min(piece, len(x))]
		total += float64(s.vectors.dot(part, part))
	}
	return total
}
