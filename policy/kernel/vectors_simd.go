package kernel

import (
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas/gonum"
)

// width is the number of float32 in a register. What doesn't fill one is done by the portable functions, except for exponentials.
const width = 8

// whole is the length of x rounded down to whole registers.
func whole(x []float32) int { return len(x) &^ (width - 1) }

// simdVectors are vek's AVX2 functions and ours. vek panics where slices of one call overlap; these are called on memory of one
// owner each.
func simdVectors() vectors {
	return vectors{
		exp: simdExp,
		dot: vek32.Dot,
		axpy: func(a float32, x, y []float32) {
			gonum.Implementation{}.Saxpy(len(x), a, x, 1, y, 1)
		},
		scale:      func(a float32, x []float32) { vek32.MulNumber_Inplace(x, a) },
		shift:      func(a float32, x []float32) { vek32.AddNumber_Inplace(x, a) },
		add:        vek32.Add_Inplace,
		mul:        vek32.Mul_Inplace,
		max:        vek32.Max,
		sum:        vek32.Sum,
		expSum:     simdExpSum(expSumAVX2),
		expPrefix:  hiddenExpSum(simdExpSum(expSumAVX2)),
		swiglu:     simdSwiGLU(swigluAVX2),
		swigluGrad: simdSwiGLUGrad(swigluGradAVX2),
		norm:       simdNorm,
		normGrad:   simdNormGrad,
		rotate:     simdRotate,
		adamw:      simdAdamW,
	}
}

// wideVectors are simdVectors with those that matter for AVX-512, which give the same bits.
func wideVectors() vectors {
	v := simdVectors()
	v.expSum = simdExpSum(expSumAVX512)
	v.expPrefix = func(x []float32, n int, shift float32) float32 { return expPrefixAVX512(&x[0], n, shift) }
	v.swiglu = simdSwiGLU(swigluAVX512)
	v.swigluGrad = simdSwiGLUGrad(swigluGradAVX512)
	return v
}

// simdExp runs the vector code over the last elements too, in a buffer of a whole register, so that an element's result doesn't
// depend on its place. (vek's own exponential is wrong below -87.3 and turns NaN into 0.)
func simdExp(x []float32) {
	n := whole(x)
	if n > 0 {
		expAVX2(&x[0], n)
	}
	if rest := x[n:]; len(rest) > 0 {
		var register [width]float32
		copy(register[:], rest)
		expAVX2(&register[0], width)
		copy(rest, register[:])
	}
}

func simdExpSum(expSum func(x *float32, n int, shift float32) float32) func(x []float32, shift float32) float32 {
	return func(x []float32, shift float32) float32 {
		n, total := whole(x), float32(0)
		if n > 0 {
			total = expSum(&x[0], n, shift)
		}
		if rest := x[n:]; len(rest) > 0 {
			var register [width]float32
			copy(register[:], rest)
			expSumAVX2(&register[0], width, shift)
			copy(rest, register[:])
			for _, v := range rest {
				total += v
			}
		}
		return total
	}
}

// hiddenExpSum is expPrefix by an expSum.
func hiddenExpSum(expSum func(x []float32, shift float32) float32) func(x []float32, n int, shift float32) float32 {
	return func(x []float32, n int, shift float32) float32 {
		hide(x[n:])
		return expSum(x, shift)
	}
}

func simdSwiGLU(glu func(y, gate, up *float32, n int)) func(y, gate, up []float32) {
	return func(y, gate, up []float32) {
		n := whole(y)
		if n > 0 {
			glu(&y[0], &gate[0], &up[0], n)
		}
		swiglu(y[n:], gate[n:], up[n:])
	}
}

func simdSwiGLUGrad(grad func(dgate, dup, gate, up, dy *float32, n int)) func(dgate, dup, gate, up, dy []float32) {
	return func(dgate, dup, gate, up, dy []float32) {
		n := whole(gate)
		if n > 0 {
			grad(&dgate[0], &dup[0], &gate[0], &up[0], &dy[0], n)
		}
		swigluGrad(dgate[n:], dup[n:], gate[n:], up[n:], dy[n:])
	}
}

func simdNorm(y, x, weight []float32, r float32) {
	n := whole(x)
	if n > 0 {
		normAVX2(&y[0], &x[0], &weight[0], n, r)
	}
	norm(y[n:], x[n:], weight[n:], r)
}

func simdNormGrad(dx, sums, dy, weight, x []float32, r float32) {
	n := whole(x)
	if n < len(x) {
		normGrad(dx, sums, dy, weight, x, r)
		return
	}
	scale := r * r * dot3AVX2(&dy[0], &weight[0], &x[0], n) / float32(n)
	normGradAVX2(&dx[0], &sums[0], &dy[0], &weight[0], &x[0], n, r, scale)
}

func simdRotate(x, sin, cos []float32, sign float32) {
	half := len(sin)
	heads := len(x) / (2 * half)
	if heads == 0 || half%width != 0 {
		rotate(x, sin, cos, sign)
		return
	}
	rotateAVX2(&x[0], &sin[0], &cos[0], half, heads, sign)
}

func simdAdamW(w, g, m, v []float32, c *adamwFactors) {
	n := whole(w)
	if n > 0 {
		adamwAVX2(&w[0], &g[0], &m[0], &v[0], n, c)
	}
	adamw(w[n:], g[n:], m[n:], v[n:], c)
}
