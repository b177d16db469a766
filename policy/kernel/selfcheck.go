package kernel

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// The tolerances of [Set.Tolerance]: the unit in the last place of float32 is 6e-8, and that of two bfloat16 1.5e-5.
const (
	singleTolerance = 1e-6
	splitTolerance  = 2e-5
)

// SelfCheck compares the set with obvious float64 loops on a few odd sizes. It takes milliseconds. A difference is an error that wraps
// hone.ErrInvalid and names the function: the library must not be used.
func (s *Set) SelfCheck() error {
	for _, size := range [][3]int{{1, 1, 1}, {3, 17, 5}, {33, 64, 128}, {70, 31, 344}} {
		for _, transposed := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
			p := Product{TransA: transposed[0], TransB: transposed[1], M: size[0], N: size[1], K: size[2], Alpha: 0.5, Beta: 2}
			if err := s.checkProduct(p); err != nil {
				return err
			}
		}
	}
	if err := s.checkLinearBFloat16(); err != nil {
		return err
	}
	return s.checkExp()
}

func (s *Set) checkProduct(p Product) error {
	p.LDA, p.LDB, p.LDC = p.K+1, p.N+2, p.N+3
	if p.TransA {
		p.LDA = p.M + 1
	}
	if p.TransB {
		p.LDB = p.K + 2
	}
	a, b := wave((p.M+p.K)*p.LDA, 1), wave((p.N+p.K)*p.LDB, 2)
	c := wave(p.M*p.LDC, 3)
	want := slowProduct(p, a, b, c)
	s.MatMul(p, a, b, c)
	for i := range p.M {
		for j := range p.N {
			diff := math.Abs(float64(c[i*p.LDC+j]) - want[i*p.N+j])
			if !(diff <= s.tolerance*math.Sqrt(float64(p.K+1))*max(1, math.Abs(want[i*p.N+j]))) {
				return fmt.Errorf("kernels %s: product %+v: element [%d, %d] is %v, want %v: %w",
					s.fingerprint, p, i, j, c[i*p.LDC+j], want[i*p.N+j], hone.ErrInvalid)
			}
		}
	}
	return nil
}

// slowProduct is the product in float64, [M, N].
func slowProduct(p Product, a, b, c []float32) []float64 {
	out := make([]float64, p.M*p.N)
	for i := range p.M {
		for j := range p.N {
			sum := 0.0
			for k := range p.K {
				at, bt := i*p.LDA+k, k*p.LDB+j
				if p.TransA {
					at = k*p.LDA + i
				}
				if p.TransB {
					bt = j*p.LDB + k
				}
				sum += float64(a[at]) * float64(b[bt])
			}
			out[i*p.N+j] = float64(p.Alpha) * sum
			if p.Beta != 0 {
				out[i*p.N+j] += float64(p.Beta) * float64(c[i*p.LDC+j])
			}
		}
	}
	return out
}

// checkLinearBFloat16 compares with the kernels in Go, bit by bit.
func (s *Set) checkLinearBFloat16() error {
	const m, in, out = 35, 70, 45
	w, x, want, got := wave(out*in, 7), wave(m*in, 8), make([]float32, m*out), make([]float32, m*out)
	plain := Portable()
	plain.Linear(plain.NewBFloat16Weight(w, in), 0, out, want, out, x, m, false)
	s.Linear(s.NewBFloat16Weight(w, in), 0, out, got, out, x, m, false)
	for i, v := range want {
		if math.Float32bits(v) != math.Float32bits(got[i]) {
			return fmt.Errorf("kernels %s: product of bfloat16 by %s: element [%d, %d] is %v, want %v: %w",
				s.fingerprint, s.halves.name, i/out, i%out, got[i], v, hone.ErrInvalid)
		}
	}
	return nil
}

func (s *Set) checkExp() error {
	x := wave(37, 4)
	for i := range x {
		x[i] *= 80
	}
	y := append([]float32(nil), x...)
	s.Exp(y)
	for i, v := range x {
		want := math.Exp(float64(v))
		if !(math.Abs(float64(y[i])-want) <= singleTolerance*want) {
			return fmt.Errorf("kernels %s: exp(%v) is %v, want %v: %w", s.fingerprint, v, y[i], want, hone.ErrInvalid)
		}
	}
	return nil
}

// rowsAlike tells whether equal rows of a product of few rows get equal bits, whatever their place. Where they don't, what is
// computed for one sequence can depend on which others share its step: OpenBLAS is so on some cores.
func (s *Set) rowsAlike() bool {
	const m, n, k = 16, 128, 344
	row, b, c := wave(k, 5), wave(k*n, 6), make([]float32, m*n)
	var a []float32
	for range m {
		a = append(a, row...)
	}
	s.Gemm(false, false, m, n, k, 1, a, k, b, n, 0, c, n)
	for i := n; i < len(c); i++ {
		if math.Float32bits(c[i]) != math.Float32bits(c[i%n]) {
			return false
		}
	}
	return true
}

// wave is n numbers in [-1, 1] without a pattern that a fault could hide in.
func wave(n int, phase float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(float64(i*i%977)*0.7 + phase))
	}
	return x
}
