package kernel

import (
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas/gonum"
)

// simdVectors are vek's AVX2 functions. vek's own slices must not overlap; these are called on memory of one owner each.
func simdVectors() vectors {
	return vectors{
		exp: simdExp,
		dot: vek32.Dot,
		axpy: func(a float32, x, y []float32) {
			gonum.Implementation{}.Saxpy(len(x), a, x, 1, y, 1)
		},
		scale: func(a float32, x []float32) { vek32.MulNumber_Inplace(x, a) },
		shift: func(a float32, x []float32) { vek32.AddNumber_Inplace(x, a) },
		add:   vek32.Add_Inplace,
		mul:   vek32.Mul_Inplace,
		inv:   vek32.Inv_Inplace,
		max:   vek32.Max,
		sum:   vek32.Sum,
	}
}

// simdExp runs the vector code over the last elements too, in a buffer of a whole register, so that an element's result doesn't
// depend on its place. (vek's own exponential is wrong below -87.3 and turns NaN into 0.)
func simdExp(x []float32) {
	const width = 8
	whole := len(x) &^ (width - 1)
	if whole > 0 {
		expAVX2(&x[0], whole)
	}
	if rest := x[whole:]; len(rest) > 0 {
		var register [width]float32
		copy(register[:], rest)
		expAVX2(&register[0], width)
		copy(rest, register[:])
	}
}
