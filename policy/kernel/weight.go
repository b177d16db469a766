package kernel

// Weight is a matrix that many products of few rows are made with, kept in the form that the set multiplies fastest.
type Weight struct {
	// In and Out are the widths of a row before and after.
	In, Out int
	data    []float32
}

// NewWeight copies rows, [out, in]: out is len(rows)/in.
func (s *Set) NewWeight(rows []float32, in int) *Weight {
	w := &Weight{In: in, Out: len(rows) / in}
	s.products.packWeight(w, rows)
	return w
}

// Linear writes y = x * w', or adds it to y, on the calling goroutine: x is [m, In], y is [m, Out] with ldy between its rows. A row's
// bits don't depend on the other rows, unless the fingerprint says rows=placed. It panics where a slice is too short.
func (s *Set) Linear(w *Weight, y []float32, ldy int, x []float32, m int, add bool) {
	if m == 0 {
		return
	}
	check("x", x, m, w.In, w.In)
	check("y", y, m, w.Out, ldy)
	s.products.linear(s, w, y, ldy, x, m, add)
}
