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
	// Starts, if not nil, cuts K into sequences, from the first element, 0, to the last, K: C is the sum over them, one after the other, so
	// that products over some of the sequences and then over the rest give the bits of one over all. For a transposed A; libraries
	// take no notice.
	Starts []int32
}

// Run is the length that sums over K are cut into. A product over the first of several Runs of a sequence, and then one over the
// rest that adds to it, give the bits of one over all.
const Run = 256

// Gemm computes C = alpha * op(A) * op(B) + beta * C on the calling goroutine: op(A) is [m, k], op(B) is [k, n], C is [m, n], all
// row-major with row strides lda, ldb, ldc; a transposed operand is stored as [k, m] or [n, k]. m or n of 0 does nothing. It panics
// where a slice is too short, since the kernels would write past it.
func (s *Set) Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int,
) {
	s.product(Product{
		TransA: transA, TransB: transB, M: m, N: n, K: k, Alpha: alpha, Beta: beta, LDA: lda, LDB: ldb, LDC: ldc,
	}, a, b, c, false)
}

// MatMul is Gemm on all processors, with the same bits.
func (s *Set) MatMul(p Product, a, b, c []float32) { s.product(p, a, b, c, true) }

func (s *Set) product(p Product, a, b, c []float32, parallel bool) {
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
	s.products.multiply(s, p, a, b, c, parallel)
}

func check(name string, x []float32, rows, cols, stride int) {
	if stride < cols || len(x) < (rows-1)*stride+cols {
		panic(fmt.Sprintf("kernel: matrix %s is [%d, %d] with row stride %d in a slice of %d", name, rows, cols, stride, len(x)))
	}
}
