package kernel

// Sums over all weights of a policy are taken in pieces of sumPiece elements, sumGrain of which are one piece of work.
const sumPiece, sumGrain = 1 << 10, 1 << 6

// SquaredNorm is the sum of squares of x, in pieces of fixed size added in float64.
func (s *Set) SquaredNorm(x []float32) float64 { return s.sumSquares(x, nil) }

// SquaredDistance is the sum of squares of x - y, which are of one length, in the same pieces.
func (s *Set) SquaredDistance(x, y []float32) float64 { return s.sumSquares(x, y) }

// sumWork are the arguments of sums; parts receives the sum of each piece. y nil is 0.
type sumWork struct{ x, y, parts []float32 }

// sumSquares shares out the pieces, and adds them up in order.
func (s *Set) sumSquares(x, y []float32) float64 {
	pieces := (len(x) + sumPiece - 1) / sumPiece
	parts := s.Borrow(pieces)
	defer s.Release(parts)
	s.sums.parallel(s, pieces, sumGrain, sumWork{x, y, *parts}, func(s *Set, w *sumWork, lo, hi int) {
		scratch := s.Borrow(sumPiece)
		for i := lo; i < hi; i++ {
			from, to := i*sumPiece, min((i+1)*sumPiece, len(w.x))
			part := w.x[from:to]
			if w.y != nil {
				part = (*scratch)[:copy(*scratch, part)]
				s.vectors.axpy(-1, w.y[from:to], part)
			}
			w.parts[i] = s.vectors.dot(part, part)
		}
		s.Release(scratch)
	})
	total := 0.0
	for _, part := range *parts {
		total += float64(part)
	}
	return total
}
