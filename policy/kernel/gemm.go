package kernel

import "fmt"

// Product describes C = Alpha * op(A) * op(B) + Beta * C over row-major matrices. op(A) is [M, K], op(B) is [K, N], C is [M, N].
// With Beta 0, C is only written, so it may hold anything, NaN included.
type Product struct {
	TransA, TransB bool
	M, N, K        int
	Alpha, Beta    float32
	// LDA, LDB and LDC are the distances between the starts of consecutive rows as stored, at least the stored width.
	LDA, LDB, LDC int
}

// Gemm computes C = alpha * op(A) * op(B) + beta * C on the calling goroutine: op(A) is [m, k], op(B) is [k, n], C is [m, n], all
// row-major with row strides lda, ldb, ldc; a transposed operand is stored as [k, m] or [n, k]. m or n of 0 does nothing. It panics
// where a slice is too short, since the library would write past it.
func (s *Set) Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int,
) {
	s.product(Product{transA, transB, m, n, k, alpha, beta, lda, ldb, ldc}, a, b, c)
}

// MatMul is Gemm with the rows of C split over goroutines. The split depends on M alone.
func (s *Set) MatMul(p Product, a, b, c []float32) {
	s.Parallel(p.M, rowTile(p.M), func(lo, hi int) {
		q := p
		q.M = hi - lo
		start := lo * p.LDA
		if p.TransA {
			start = lo
		}
		s.product(q, a[start:], b, c[lo*p.LDC:])
	})
}

// rowTile is the number of rows of a product that one goroutine takes at a time: an even number of about equal tiles, of 256
// rows at most. Larger tiles would pack the other operand less often, smaller ones would balance better.
func rowTile(m int) int {
	const most, step = 256, 16
	if m < 3*step {
		return m
	}
	tiles := 2 * ((m + 2*most - 1) / (2 * most))
	tile := (m + tiles - 1) / tiles
	return (tile + step - 1) / step * step
}

func (s *Set) product(p Product, a, b, c []float32) {
	if p.M == 0 || p.N == 0 {
		return
	}
	if p.K == 0 {
		for i := range p.M {
			s.Scale(p.Beta, c[i*p.LDC:i*p.LDC+p.N])
		}
		return
	}
	rowsA, colsA, rowsB, colsB := p.M, p.K, p.K, p.N
	if p.TransA {
		rowsA, colsA = colsA, rowsA
	}
	if p.TransB {
		rowsB, colsB = colsB, rowsB
	}
	check("A", a, rowsA, colsA, p.LDA)
	check("B", b, rowsB, colsB, p.LDB)
	check("C", c, p.M, p.N, p.LDC)
	s.gemm(p, a, b, c)
}

func check(name string, x []float32, rows, cols, stride int) {
	if stride < cols || len(x) < (rows-1)*stride+cols {
		panic(fmt.Sprintf("kernel: matrix %s is [%d, %d] with row stride %d in a slice of %d", name, rows, cols, stride, len(x)))
	}
}
