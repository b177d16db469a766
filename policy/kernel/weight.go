package kernel

import "fmt"

// WeightGrain is what the columns at which a product with a Weight may be cut are multiples of.
const WeightGrain = 32

// WeightStreams is the number of grains that a product reads at a time where it can: pieces of so many, or of half as many, are faster.
const WeightStreams = 4

// Weight is a matrix that many products of few rows are made with, kept in the form that the set multiplies fastest.
type Weight struct {
	// In and Out are the widths of a row before and after.
	In, Out int
	data    []float32
	// half takes the place of data in a weight of bfloat16: panels of halfColumns rows, the last one filled up with zeros. A panel has
	// each row's elements 0 and 1, then each row's 2 and 3, and so on.
	half []BFloat16
}

// BFloat16 tells whether it was made by [Set.NewBFloat16Weight].
func (w *Weight) BFloat16() bool { return w.half != nil }

// NewWeight copies rows, [out, in]: out is len(rows)/in.
func (s *Set) NewWeight(rows []float32, in int) *Weight {
	w := &Weight{In: in, Out: len(rows) / in}
	s.products.packWeight(w, rows)
	return w
}

// Linear writes columns first to last-1 of y = x * w', or adds to them, on the calling goroutine: x is [m, In], y is [m, Out] with ldy
// between its rows. first is a multiple of WeightGrain, and so is last unless it is Out. A row's bits don't depend on the other rows,
// unless the fingerprint says rows=placed, nor on the columns that are asked for. With a weight of bfloat16 x is rounded to it first. It
// panics where a slice is too short.
func (s *Set) Linear(w *Weight, first, last int, y []float32, ldy int, x []float32, m int, add bool) {
	if m == 0 || first == last {
		return
	}
	packed := s.Borrow(s.PackedLen(w, m))
	defer s.Release(packed)
	s.PackRows(w, *packed, x, m, 0, m)
	s.LinearPacked(w, first, last, y, ldy, *packed, m, add)
}

// PackedLen is the length of m rows that PackRows has written for w. It doesn't become less with more rows.
func (s *Set) PackedLen(w *Weight, m int) int {
	if w.BFloat16() {
		return m * BFloat16Row(w.In) / 2
	}
	return s.products.packedLen(m, w.In)
}

// PackGrain is what the rows at which m rows may be cut for PackRows are multiples of.
func (s *Set) PackGrain(w *Weight, m int) int {
	if w.BFloat16() {
		return 1
	}
	return s.products.packGrain(m)
}

// PackRows writes rows first to last-1 of x, [m, In], in the form that w is multiplied with fastest, so that products with parts of w share
// the work. first is a multiple of PackGrain, and so is last unless it is m.
func (s *Set) PackRows(w *Weight, packed, x []float32, m, first, last int) {
	check("x", x, m, w.In, w.In)
	if grain := s.PackGrain(w, m); first < 0 || first%grain != 0 || last < first || last > m || last%grain != 0 && last != m {
		panic(fmt.Sprintf("kernel: rows %d to %d of %d, packed by %d", first, last, m, grain))
	}
	if len(packed) < s.PackedLen(w, m) {
		panic(fmt.Sprintf("kernel: %d rows packed to a slice of %d, want %d", m, len(packed), s.PackedLen(w, m)))
	}
	if w.BFloat16() {
		s.RoundBFloat16(BFloat16s(packed)[first*BFloat16Row(w.In):], x[first*w.In:last*w.In], w.In)
		return
	}
	s.products.packRowsOf(packed, x, m, w.In, first, last)
}

// LinearPacked is Linear with all rows packed by PackRows for w, or for a weight of the same width and kind.
func (s *Set) LinearPacked(w *Weight, first, last int, y []float32, ldy int, packed []float32, m int, add bool) {
	if m == 0 || first == last {
		return
	}
	if w.BFloat16() {
		s.LinearBFloat16(w, first, last, y, ldy, BFloat16s(packed), m, add)
		return
	}
	w.checkColumns(first, last)
	check("y", y, m, w.Out, ldy)
	if len(packed) < s.PackedLen(w, m) {
		panic(fmt.Sprintf("kernel: %d packed rows in a slice of %d, want %d", m, len(packed), s.PackedLen(w, m)))
	}
	s.products.linear(s, w, first, last, y, ldy, packed, m, add)
}

func (w *Weight) checkColumns(first, last int) {
	if first < 0 || first%WeightGrain != 0 || last < first || last > w.Out || last%WeightGrain != 0 && last != w.Out {
		panic(fmt.Sprintf("kernel: columns %d to %d of %d", first, last, w.Out))
	}
}
