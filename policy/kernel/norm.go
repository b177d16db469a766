package kernel

import "math"

// normGrain is the number of rows in one piece of work.
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
	s.norms.parallel(s, len(x)/len(n.Weight), normGrain, normWork{n, y, x, rstd}, func(s *Set, w *normWork, lo, hi int) {
		s.normRows(w.norm, w.y, w.x, w.rstd, lo, hi)
	})
}

// normWork are the arguments of RMSNorm.
type normWork struct {
	norm       Norm
	y, x, rstd []float32
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
	// DWeight is [B, D], written: each sequence's part of the gradient for the weight.
	DWeight []float32
	// Starts is [B+1]: sequence b is rows Starts[b] to Starts[b+1]-1.
	Starts []int32
	// DY and X are [N, D], Rstd is [N].
	DY, X, Rstd []float32
}

// RMSNormGrad fills g.DX and g.DWeight. With u = dy*weight: dx = r*(u - x*r^2*mean(u*x)), dweight = sum over rows of dy*x*r.
// Then Skip is added to dx.
func (s *Set) RMSNormGrad(n Norm, g NormGrad) {
	s.normGrads.parallel(s, len(g.Starts)-1, 1, normGradWork{g, n.Weight}, func(s *Set, w *normGradWork, lo, hi int) {
		for b := lo; b < hi; b++ {
			s.normGradRows(&w.grad, w.weight, b)
		}
	})
}

// normGradWork are the arguments of RMSNormGrad.
type normGradWork struct {
	grad   NormGrad
	weight []float32
}

// normGradRows does the rows of sequence b.
func (s *Set) normGradRows(g *NormGrad, weight []float32, b int) {
	width := len(weight)
	sums := g.DWeight[b*width : (b+1)*width]
	clear(sums)
	for i := int(g.Starts[b]); i < int(g.Starts[b+1]); i++ {
		from, to := i*width, (i+1)*width
		s.vectors.normGrad(g.DX[from:to], sums, g.DY[from:to], weight, g.X[from:to], g.Rstd[i])
		if g.Skip != nil {
			s.Add(g.Skip[from:to], g.DX[from:to])
		}
	}
}

func reciprocalRoot(x float32) float32 { return 1 / float32(math.Sqrt(float64(x))) }
