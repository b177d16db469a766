package kernel

import "math"

// normGrain is the number of rows in one piece of work; sums over rows are taken piece by piece.
const normGrain = 128

// Norm is a root-mean-square normalisation with a learned scale. Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4.
type Norm struct {
	// Weight is [D].
	Weight []float32
	// Eps is added to the mean square, > 0.
	Eps float32
}

// RMSNorm writes y = x * r * weight for each row, r = 1/sqrt(mean(x^2) + eps). x and y are [N, D] and may be the same slice. r goes to
// rstd, [N], unless that is nil.
func (s *Set) RMSNorm(n Norm, y, x, rstd []float32) {
	rows := len(x) / len(n.Weight)
	if rows <= normGrain { // without the closure, nothing is allocated
		s.normRows(n, y, x, rstd, 0, rows)
		return
	}
	s.Parallel(rows, normGrain, func(lo, hi int) { s.normRows(n, y, x, rstd, lo, hi) })
}

// normRows does the rows from lo to hi-1.
func (s *Set) normRows(n Norm, y, x, rstd []float32, lo, hi int) {
	width := len(n.Weight)
	for i := lo; i < hi; i++ {
		row, out := x[i*width:(i+1)*width], y[i*width:(i+1)*width]
		r := reciprocalRoot(s.Dot(row, row)/float32(width) + n.Eps)
		s.vectors.norm(out, row, n.Weight, r)
		if rstd != nil {
			rstd[i] = r
		}
	}
}

// NormGrad is what the backward pass of RMSNorm reads and writes; D is the width of the norm.
type NormGrad struct {
	// DX is [N, D], written. It may be DY.
	DX []float32
	// Skip is [N, D], added to DX: the gradient that comes back around what the norm leads into. nil adds nothing.
	Skip []float32
	// DWeight is [D], written.
	DWeight []float32
	// DY and X are [N, D], Rstd is [N].
	DY, X, Rstd []float32
}

// RMSNormGrad fills g.DX and g.DWeight. With u = dy*weight: dx = r*(u - x*r^2*mean(u*x)), dweight = sum over rows of dy*x*r.
// Then Skip is added to dx.
func (s *Set) RMSNormGrad(n Norm, g NormGrad) {
	width := len(n.Weight)
	rows := len(g.X) / width
	pieces := (rows + normGrain - 1) / normGrain
	buffer := s.Borrow(pieces * width)
	defer s.Release(buffer)
	partial := *buffer
	clear(partial)
	s.Parallel(rows, normGrain, func(lo, hi int) {
		piece := lo / normGrain
		sums := partial[piece*width : (piece+1)*width]
		for i := lo; i < hi; i++ {
			from, to := i*width, (i+1)*width
			s.vectors.normGrad(g.DX[from:to], sums, g.DY[from:to], n.Weight, g.X[from:to], g.Rstd[i])
			if g.Skip != nil {
				s.Add(g.Skip[from:to], g.DX[from:to])
			}
		}
	})
	clear(g.DWeight)
	for piece := range pieces {
		s.Add(partial[piece*width:(piece+1)*width], g.DWeight)
	}
}

func reciprocalRoot(x float32) float32 { return 1 / float32(math.Sqrt(float64(x))) }
