package kernel

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// portableGemm is gonum's product, with beta 0 made to overwrite whatever C holds. gonum splits large products over
// goroutines by blocks of C, each summed in one order, so the result doesn't depend on their number.
func portableGemm(p Product, a, b, c []float32) {
	ta, tb := blas.NoTrans, blas.NoTrans
	if p.TransA {
		ta = blas.Trans
	}
	if p.TransB {
		tb = blas.Trans
	}
	if p.Beta == 0 {
		for i := range p.M {
			clear(c[i*p.LDC : i*p.LDC+p.N])
		}
	}
	gonum.Implementation{}.Sgemm(ta, tb, p.M, p.N, p.K, p.Alpha, a, p.LDA, b, p.LDB, p.Beta, c, p.LDC)
}
