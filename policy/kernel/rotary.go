package kernel

import "math"

// Rotary rotates pairs of a head's elements by angles that grow with the position, so that inner products of queries and keys
// depend on the distance between them. Element i is paired with i + headDim/2, and the pair turns by position * theta^(-2i/headDim).
// Su et al. 2021, arXiv:2104.09864, eq. 34. Differs: that pairs neighbours; the halves are how Llama checkpoints are stored.
type Rotary struct {
	headDim int
	// sin and cos are [positions, headDim/2].
	sin, cos []float32
}

// NewRotary makes the table for positions 0 to positions-1. headDim is even, theta > 1 (10000 is usual).
func NewRotary(headDim, positions int, theta float32) *Rotary {
	half := headDim / 2
	r := &Rotary{headDim: headDim, sin: make([]float32, positions*half), cos: make([]float32, positions*half)}
	for i := range half {
		frequency := math.Pow(float64(theta), -2*float64(i)/float64(headDim))
		for p := range positions {
			sin, cos := math.Sincos(float64(p) * frequency)
			r.sin[p*half+i], r.cos[p*half+i] = float32(sin), float32(cos)
		}
	}
	return r
}

// Rotate turns each head of x, [heads*headDim], in place to its position.
func (r *Rotary) Rotate(s *Set, x []float32, position int) { r.turn(s, x, position, 1) }

// Unrotate undoes Rotate; it is also its gradient.
func (r *Rotary) Unrotate(s *Set, x []float32, position int) { r.turn(s, x, position, -1) }

func (r *Rotary) turn(s *Set, x []float32, position int, sign float32) {
	half := r.headDim / 2
	s.vectors.rotate(x, r.sin[position*half:(position+1)*half], r.cos[position*half:(position+1)*half], sign)
}

// rotate turns the heads of x one after the other.
func rotate(x, sin, cos []float32, sign float32) {
	half := len(sin)
	for ; len(x) >= 2*half; x = x[2*half:] {
		a, b := x[:half], x[half:2*half]
		for i, c := range cos {
			s := sin[i] * sign
			a[i], b[i] = float32(a[i]*c)-float32(b[i]*s), float32(b[i]*c)+float32(a[i]*s)
		}
	}
}
