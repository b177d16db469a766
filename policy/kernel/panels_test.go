package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
)

// own are the sets in assembly that this machine has.
func own(t *testing.T) []*kernel.Set {
	t.Helper()
	var found []*kernel.Set
	for _, name := range []string{kernel.NameAVX512, kernel.NameAVX2} {
		if s, err := kernel.Assembly(name); err == nil {
			found = append(found, s)
		}
	}
	if s, err := kernel.AMX(); err == nil {
		found = append(found, s)
	}
	if len(found) == 0 {
		t.Skip("no kernels in assembly for this processor")
	}
	return found
}

// shapes are [M, N, K] with edges in every direction: rows beyond a strip and a tile, columns beyond a panel, runs beyond depth.
var shapes = [][3]int{
	{1, 1, 1},
	{2, 3, 4},
	{5, 16, 31},
	{12, 32, 256},
	{13, 33, 257},
	{121, 40, 20},
	{250, 97, 300},
	{48, 280, 128},
	{7, 700, 515},
	{253, 45, 37}, // whose last strip is a single row
	{3, 5, 6500},  // of which a part along K is packed at a time
}

func product(shape [3]int, transA, transB bool) (p kernel.Product, a, b, c []float32) {
	p = kernel.Product{TransA: transA, TransB: transB, M: shape[0], N: shape[1], K: shape[2], Alpha: 0.7, Beta: -0.3}
	r := rng("product", shape[0], shape[1], shape[2])
	p.LDA, p.LDB, p.LDC = p.K+1, p.N+2, p.N+3
	rowsA, rowsB := p.M, p.K
	if transA {
		p.LDA, rowsA = p.M+1, p.K
	}
	if transB {
		p.LDB, rowsB = p.K+2, p.N
	}
	return p, normal(r, rowsA*p.LDA), normal(r, rowsB*p.LDB), normal(r, p.M*p.LDC)
}

func requireBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "%s[%d] is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestInstructionSetsGiveEqualBits(t *testing.T) {
	t.Parallel()
	sets := own(t)
	for _, shape := range shapes {
		for _, trans := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
			p, a, b, c := product(shape, trans[0], trans[1])
			var first []float32
			for _, s := range sets {
				serial, parallel := append([]float32(nil), c...), append([]float32(nil), c...)
				s.Gemm(p.TransA, p.TransB, p.M, p.N, p.K, p.Alpha, a, p.LDA, b, p.LDB, p.Beta, serial, p.LDC)
				s.MatMul(p, a, b, parallel)
				what := fmt.Sprintf("%s %+v", s.Name(), p)
				requireBits(t, serial, parallel, what)
				if first == nil || s.Name() == kernel.NameAMX { // which splits its numbers
					first = serial
				}
				requireBits(t, first, serial, what)
			}
		}
	}
}

// A row alone, a row among others at any place, and a row of a Weight's product are the same bits.
func TestARowDoesNotDependOnTheOthers(t *testing.T) {
	t.Parallel()
	for _, s := range own(t) {
		for _, shape := range shapes {
			p, a, b, _ := product(shape, false, true)
			p.Alpha, p.Beta, p.LDC = 1, 0, p.N
			all := make([]float32, p.M*p.N)
			s.MatMul(p, a, b, all)
			rows := make([]float32, 0, p.N*p.K)
			for j := range p.N {
				rows = append(rows, b[j*p.LDB:j*p.LDB+p.K]...)
			}
			w := s.NewWeight(rows, p.K)
			for i := range p.M {
				alone, weighted := make([]float32, p.N), make([]float32, p.N)
				x := a[i*p.LDA : i*p.LDA+p.K]
				s.Gemm(false, true, 1, p.N, p.K, 1, x, p.K, b, p.LDB, 0, alone, p.N)
				s.Linear(w, 0, w.Out, weighted, p.N, x, 1, false)
				what := fmt.Sprintf("%s row %d of %v", s.Name(), i, shape)
				requireBits(t, all[i*p.N:(i+1)*p.N], alone, what)
				requireBits(t, alone, weighted, what)
			}
		}
	}
}

func TestLinear(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, m := range []int{0, 1, 15, 16, 50, 130, 253} {
			const in, out, ldy = 37, 45, 50
			r := rng("linear", m)
			x, rows, y := normal(r, m*in), normal(r, out*in), normal(r, m*ldy)
			w := s.NewWeight(rows, in)
			require.Equal(t, [2]int{in, out}, [2]int{w.In, w.Out})
			want := wide(y)
			for i := range m {
				for j := range out {
					for k := range in {
						want[i*ldy+j] += float64(x[i*in+k]) * float64(rows[j*in+k])
					}
				}
			}
			s.Linear(w, 0, w.Out, y, ldy, x, m, true)
			near(t, want, y, 1e-5*s.Tolerance()/1e-6, "y")
			for i := range m {
				for j := range out {
					y[i*ldy+j] = float32(math.NaN())
				}
			}
			s.Linear(w, 0, w.Out, y, ldy, x, m, false)
			for i := range m {
				for j := range out {
					sum := 0.0
					for k := range in {
						sum += float64(x[i*in+k]) * float64(rows[j*in+k])
					}
					require.InDelta(t, sum, y[i*ldy+j], 100*s.Tolerance())
				}
			}
		}
	})
}

// NaN and Inf in an operand reach every element that depends on it, and no other.
func TestProductsHandOnNaN(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		p, a, b, c := product([3]int{20, 40, 30}, false, true)
		a[3*p.LDA+7] = float32(math.NaN())
		b[9*p.LDB+2] = float32(math.Inf(1))
		s.MatMul(p, a, b, c)
		for i := range p.M {
			for j := range p.N {
				v := float64(c[i*p.LDC+j])
				require.Equal(t, i == 3 || j == 9, math.IsNaN(v) || math.IsInf(v, 0), "element [%d, %d] is %v", i, j, v)
			}
		}
	})
}

func FuzzProduct(f *testing.F) {
	for _, s := range shapes {
		f.Add(uint16(s[0]), uint16(s[1]), uint16(s[2]), uint8(3))
	}
	f.Fuzz(func(t *testing.T, m, n, k uint16, trans uint8) {
		p, a, b, c := product([3]int{1 + int(m)%300, 1 + int(n)%120, 1 + int(k)%600}, trans&1 != 0, trans&2 != 0)
		want := make([]float64, len(c))
		for i := range c {
			want[i] = float64(c[i])
		}
		for i := range p.M {
			for j := range p.N {
				sum := 0.0
				for l := range p.K {
					x, y := i*p.LDA+l, l*p.LDB+j
					if p.TransA {
						x = l*p.LDA + i
					}
					if p.TransB {
						y = j*p.LDB + l
					}
					sum += float64(a[x]) * float64(b[y])
				}
				want[i*p.LDC+j] = float64(p.Alpha)*sum + float64(p.Beta)*want[i*p.LDC+j]
			}
		}
		for _, s := range own(t) {
			got := append([]float32(nil), c...)
			s.MatMul(p, a, b, got)
			near(t, want, got, 8*s.Tolerance()*math.Sqrt(float64(p.K)), s.Name())
		}
	})
}

func TestVectorsOfInstructionSetsGiveEqualBits(t *testing.T) {
	t.Parallel()
	sets := own(t)
	for _, n := range []int{1, 7, 8, 9, 15, 16, 24, 31, 40, 344, 350} {
		r := rng("vectors", n)
		x, gateUp, dy := normal(r, 3*n), normal(r, 6*n), normal(r, 3*n)
		gateUp[n/2], x[n-1] = 100, -200
		type results struct {
			softmax, y, dgateUp []float32
		}
		var first *results
		for _, s := range sets {
			got := &results{append([]float32(nil), x...), make([]float32, 3*n), make([]float32, 6*n)}
			s.Softmax(got.softmax[:n])
			s.SwiGLU(got.y, gateUp, n)
			s.SwiGLUGrad(got.dgateUp, gateUp, dy, n)
			if first == nil {
				first = got
			}
			requireBits(t, first.softmax, got.softmax, s.Name()+" softmax")
			requireBits(t, first.y, got.y, s.Name()+" swiglu")
			requireBits(t, first.dgateUp, got.dgateUp, s.Name()+" swiglu gradient")
		}
	}
}

// The optimiser and the rotation are exact operations in a fixed order: the assembly gives the bits of the loops in Go.
func TestExactFunctionsGiveTheBitsOfGo(t *testing.T) {
	t.Parallel()
	portable := kernel.Portable()
	for _, s := range own(t) {
		for _, n := range []int{1, 8, 77, 40003} {
			step := func(s *kernel.Set) [3][]float32 {
				r := rng("adamw", n)
				w, g := normal(r, n), normal(r, n)
				m, v := normal(r, n), normal(r, n)
				for i := range v {
					v[i] *= v[i]
				}
				s.Update(kernel.AdamW{
					Rate: 1e-2, Decay: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, Correction1: 0.3, Correction2: 0.2, GradScale: 0.7,
				}, w, g, kernel.Moments{M: m, V: v})
				return [3][]float32{w, m, v}
			}
			want, got := step(portable), step(s)
			for i := range want {
				requireBits(t, want[i], got[i], s.Name())
			}
		}
		for _, dim := range []int{6, 16, 32, 64} {
			r := kernel.NewRotary(dim, 30, 10000)
			x := normal(rng("x", dim), 3*dim)
			y := append([]float32(nil), x...)
			r.Rotate(portable, x, 23)
			r.Rotate(s, y, 23)
			requireBits(t, x, y, s.Name())
		}
	}
}

// Rows a power of two apart are copied first, which changes no bit.
func TestRowsThatShareTheirPlaceInTheCache(t *testing.T) {
	t.Parallel()
	for _, s := range own(t) {
		for _, transB := range []bool{false, true} {
			p, a, b, c := product([3]int{133, 300, 700}, false, transB)
			near, far := append([]float32(nil), c...), append([]float32(nil), c...)
			s.MatMul(p, a, b, near)
			q := p
			q.LDA = 1024
			spread := make([]float32, p.M*q.LDA)
			for i := range p.M {
				copy(spread[i*q.LDA:i*q.LDA+p.K], a[i*p.LDA:])
			}
			s.MatMul(q, spread, b, far)
			requireBits(t, near, far, s.Name())
		}
	}
}
