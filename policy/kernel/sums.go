package kernel

// Sums over all weights of a policy are taken in pieces of sumPiece elements, sumGrain of which are one piece of work.
const sumPiece, sumGrain = 1 << 10, 1 << 6

// SquaredNorm is the sum of squares of x, in pieces of fixed size added in float64.
func (s *Set) SquaredNorm(x []float32) float64 {
	return s.sumPieces(len(x), func(lo, hi int, _ []float32) float32 { return s.vectors.dot(x[lo:hi], x[lo:hi]) })
}

// SquaredDistance is the sum of squares of x - y, which are of one length, in the same pieces.
func (s *Set) SquaredDistance(x, y []float32) float64 {
	return s.sumPieces(len(x), func(lo, hi int, scratch []float32) float32 {
		d := scratch[:copy(scratch, x[lo:hi])]
		s.vectors.axpy(-1, y[lo:hi], d)
		return s.vectors.dot(d, d)
	})
}

// sumPieces adds up, in float64 and in order, what f gives for each piece of n elements, with scratch of the size of one. The
// pieces are shared out.
func (s *Set) sumPieces(n int, f func(lo, hi int, scratch []float32) float32) float64 {
	pieces := (n + sumPiece - 1) / sumPiece
	parts := s.Borrow(pieces)
	defer s.Release(parts)
	s.Parallel(pieces, sumGrain, func(lo, hi int) {
		scratch := s.Borrow(sumPiece)
		defer s.Release(scratch)
		for i := lo; i < hi; i++ {
			(*parts)[i] = f(i*sumPiece, min((i+1)*sumPiece, n), *scratch)
		}
	})
	total := 0.0
	for _, part := range *parts {
		total += float64(part)
	}
	return total
}
