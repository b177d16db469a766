package kernel

// vectors are a set's element-wise functions. Slices of one call have equal lengths, are not empty and, where one is written,
// don't overlap.
type vectors struct {
	exp   func(x []float32)
	dot   func(x, y []float32) float32
	axpy  func(a float32, x, y []float32)
	scale func(a float32, x []float32)
	shift func(a float32, x []float32)
	add   func(x, y []float32)
	mul   func(x, y []float32)
	max   func(x []float32) float32
	sum   func(x []float32) float32

	// expSum replaces x by exp(x + shift) and returns the sum.
	expSum func(x []float32, shift float32) float32
	// expPrefix is expSum of x where what follows x[:n] is -Inf, whatever it holds: that becomes 0. x is of whole registers of eight, n in
	// the last of them.
	expPrefix func(x []float32, n int, shift float32) float32
	// swiglu writes silu(gate) * up to y.
	swiglu func(y, gate, up []float32)
	// swigluGrad writes dgate and dup.
	swigluGrad func(dgate, dup, gate, up, dy []float32)
	// norm writes x * r * weight to y, which may be x.
	norm func(y, x, weight []float32, r float32)
	// rotate turns x as Rotary.Rotate does, with the rows of its table and a sign for the sine.
	rotate func(x, sin, cos []float32, sign float32)
	// adamw is one step of the optimiser.
	adamw func(w, g, m, v []float32, c *adamwFactors)
	// normGrad writes dx, which may be dy, and adds to the sums for the weight.
	normGrad func(dx, sums, dy, weight, x []float32, r float32)
}

// Exp replaces each element by its exponential; -Inf gives 0. An element's result doesn't depend on where in x it stands.
func (s *Set) Exp(x []float32) {
	if len(x) > 0 {
		s.vectors.exp(x)
	}
}

// Dot is the inner product of two slices of the same length; 0 for empty ones.
func (s *Set) Dot(x, y []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return s.vectors.dot(x, y[:len(x)])
}

// Axpy adds a*x to y, which is at least as long as x. They must not overlap.
func (s *Set) Axpy(a float32, x, y []float32) {
	if len(x) > 0 {
		s.vectors.axpy(a, x, y[:len(x)])
	}
}

// Scale multiplies each element by a; 0 sets it to 0 even where it was NaN.
func (s *Set) Scale(a float32, x []float32) {
	switch {
	case len(x) == 0 || a == 1:
	case a == 0:
		clear(x)
	default:
		s.vectors.scale(a, x)
	}
}

// Add adds x to y element by element; y is at least as long as x. They must not overlap.
func (s *Set) Add(x, y []float32) {
	if len(x) > 0 {
		s.vectors.add(y[:len(x)], x)
	}
}

// Sum is the sum of the elements, 0 for none.
func (s *Set) Sum(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return s.vectors.sum(x)
}

// Max is the largest element. It panics on an empty slice.
func (s *Set) Max(x []float32) float32 { return s.vectors.max(x) }
