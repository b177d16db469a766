package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
)

// sets are the kernels to test on this machine: portable always, the others where the machine has them.
func sets(t testing.TB) map[string]*kernel.Set {
	t.Helper()
	out := map[string]*kernel.Set{kernel.NamePortable: kernel.Portable()}
	if s, err := kernel.OpenBLAS(); err == nil {
		out[kernel.NameOpenBLAS] = s
	} else {
		require.ErrorIs(t, err, hone.ErrUnavailable)
		t.Logf("tested without OpenBLAS: %v", err)
	}
	for _, name := range []string{kernel.NameAVX512, kernel.NameAVX2} {
		if s, err := kernel.Assembly(name); err == nil {
			out[name] = s
		} else {
			require.ErrorIs(t, err, hone.ErrUnavailable)
			t.Logf("tested without %s: %v", name, err)
		}
	}
	if s, err := kernel.AMX(); err == nil {
		out[kernel.NameAMX] = s
	} else {
		require.ErrorIs(t, err, hone.ErrUnavailable)
		t.Logf("tested without %s: %v", kernel.NameAMX, err)
	}
	return out
}

// onEach runs f as a parallel subtest for each set.
func onEach(t *testing.T, f func(t *testing.T, s *kernel.Set)) {
	t.Helper()
	for name, s := range sets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, s)
		})
	}
}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func rng(names ...any) *rand.Rand { return hone.Rand(hone.Seed(1, names...)) }

// near requires every element to be within tolerance of want, relative to the larger of 1 and |want|.
func near(t testing.TB, want []float64, got []float32, tolerance float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= tolerance*max(1, math.Abs(w))) {
			require.Failf(t, "differs", "%s[%d] is %v, want %v within %v", what, i, got[i], w, tolerance)
		}
	}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func TestSelfCheckPasses(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		require.NoError(t, s.SelfCheck())
		require.Contains(t, s.Fingerprint(), s.Name())
	})
}

func TestOpenObeysTheEnvironment(t *testing.T) {
	t.Setenv(kernel.Environment, kernel.NamePortable)
	s, err := kernel.Open()
	require.NoError(t, err)
	require.Equal(t, kernel.NamePortable, s.Name())

	t.Setenv(kernel.Environment, "abacus")
	_, err = kernel.Open()
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, `"abacus"`)

	t.Setenv(kernel.Environment, "")
	_, err = kernel.Open()
	require.NoError(t, err)
}

func TestGemmIgnoresWhatCHeldWhenBetaIsZero(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		nan := float32(math.NaN())
		for _, n := range []int{1, 5, 40} {
			a, b, c := normal(rng(n), n*n), normal(rng(n, 1), n*n), make([]float32, n*n)
			for i := range c {
				c[i] = nan
			}
			s.Gemm(false, true, n, n, n, 1, a, n, b, n, 0, c, n)
			for _, v := range c {
				require.False(t, math.IsNaN(float64(v)))
			}
			s.Gemm(false, true, n, n, 0, 1, a, n, b, n, 0, c, n)
			require.Equal(t, make([]float32, n*n), c, "an empty sum is 0")
		}
		s.Gemm(false, false, 0, 3, 3, 1, nil, 3, nil, 3, 0, nil, 3)
	})
}

func TestGemmRefusesShortSlices(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		x := make([]float32, 6)
		require.Panics(t, func() { s.Gemm(false, false, 2, 3, 3, 1, x, 3, x, 3, 0, x, 3) })
		require.Panics(t, func() { s.Gemm(false, false, 2, 3, 2, 1, x, 2, x, 2, 0, x, 3) })
		p := kernel.Product{M: 200, N: 3, K: 2, LDA: 2, LDB: 3, LDC: 3}
		require.Panics(t, func() { s.MatMul(p, x, x, x) }, "in another goroutine too")
	})
}

//nolint:paralleltest // it sets GOMAXPROCS
func TestMatMulDoesNotDependOnGOMAXPROCS(t *testing.T) {
	onEachSerial(t, func(t *testing.T, s *kernel.Set) {
		const m, n, k = 517, 96, 64
		a, b := normal(rng("a"), m*k), normal(rng("b"), n*k)
		var first []float32
		for _, procs := range []int{1, 2, 5} {
			old := runtime.GOMAXPROCS(procs)
			c := make([]float32, m*n)
			s.MatMul(kernel.Product{TransB: true, M: m, N: n, K: k, Alpha: 1, LDA: k, LDB: k, LDC: n}, a, b, c)
			runtime.GOMAXPROCS(old)
			if first == nil {
				first = c
			}
			require.Equal(t, first, c)
		}
	})
}

func onEachSerial(t *testing.T, f func(t *testing.T, s *kernel.Set)) {
	t.Helper()
	for name, s := range sets(t) {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

func TestParallelCallsEachPieceOnce(t *testing.T) {
	t.Parallel()
	s := kernel.Portable()
	for _, n := range []int{0, 1, 7, 64, 1001} {
		for _, grain := range []int{0, 1, 3, 64, 5000} {
			seen := make([]int32, n)
			s.Parallel(n, grain, func(lo, hi int) {
				require.Less(t, lo, hi)
				require.Zero(t, lo%max(grain, 1))
				for i := lo; i < hi; i++ {
					seen[i]++
				}
			})
			for i, c := range seen {
				require.EqualValues(t, 1, c, "n %d grain %d element %d", n, grain, i)
			}
		}
	}
	require.PanicsWithValue(t, "piece", func() { s.Parallel(10, 1, func(int, int) { panic("piece") }) })
}

func TestHelpersWaitAwakeForAWhile(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with GOMAXPROCS=1 nobody helps")
	}
	s := kernel.Portable()
	require.Eventually(t, func() bool {
		s.Parallel(2, 1, func(int, int) {})
		return kernel.Waiting(s) > 0
	}, 10*time.Second, time.Microsecond, "who has helped waits")
	require.Eventually(t, func() bool { return kernel.Waiting(s) == 0 }, 10*time.Second, time.Millisecond, "in vain, and ends")
}

// A helper may be kept from running for as long as others want the processor.
func TestNobodyWaitsForAHelperThatHasNotBegun(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with GOMAXPROCS=1 nobody helps")
	}
	s := kernel.Portable()
	for range runtime.GOMAXPROCS(0) - 1 {
		kernel.AddAbsent(s)
	}
	for range 3 {
		done := 0
		s.Parallel(5, 1, func(int, int) { done++ })
		require.Equal(t, 5, done, "by the caller alone")
		require.Equal(t, runtime.GOMAXPROCS(0)-1, kernel.Waiting(s), "the claims are taken back")
	}
}

func TestParallelCallsShareHelpers(t *testing.T) {
	t.Parallel()
	s := kernel.Portable()
	long := make([]float32, 1<<18) // whoever waits for its exponentials goes to sleep
	for burst := range 4 {
		var callers sync.WaitGroup
		for caller := range 6 {
			callers.Go(func() {
				r := rng("helpers", burst, caller)
				for call := range 100 {
					n := 1 + r.IntN(40)
					var sum atomic.Int64
					s.Parallel(n, 1+r.IntN(3), func(lo, hi int) {
						for i := lo; i < hi; i++ {
							s.Parallel(i, 2, func(lo, hi int) { sum.Add(int64(hi - lo)) })
						}
					})
					if want := n * (n - 1) / 2; sum.Load() != int64(want) {
						t.Errorf("caller %d call %d: %d of %d", caller, call, sum.Load(), want)
					}
				}
			})
		}
		s.Parallel(2, 1, func(lo, _ int) {
			if lo == burst%2 {
				s.Exp(long)
			}
		})
		callers.Wait()
		require.Eventually(t, func() bool { return kernel.Waiting(s) == 0 }, 10*time.Second, time.Millisecond, "helpers that wait in vain end")
	}
}

func TestExp(t *testing.T) {
	t.Parallel()
	// expTolerance is two units in the last place of float32.
	const expTolerance = 2.4e-7
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for n := range 40 {
			x := normal(rng("exp", n), n)
			for i := range x {
				x[i] = max(-85, min(88, x[i]*30))
			}
			y := append([]float32(nil), x...)
			s.Exp(y)
			for i, v := range x {
				require.InEpsilon(t, math.Exp(float64(v)), float64(y[i]), expTolerance, "exp(%v)", v)
			}
			if n > 9 {
				z := append([]float32(nil), x[3:]...)
				s.Exp(z)
				require.Equal(t, y[3:], z, "an element's place doesn't matter")
			}
		}
		inf := float32(math.Inf(1))
		edge := []float32{-inf, -1000, -104, -90, 0, 88.7, 89, inf}
		s.Exp(edge)
		require.Equal(t, []float32{0, 0, 0}, edge[:3])
		require.InEpsilon(t, math.Exp(-90), float64(edge[3]), 1e-5, "below the smallest normal number")
		require.EqualValues(t, 1, edge[4])
		require.InEpsilon(t, math.Exp(88.7), float64(edge[5]), 1e-5)
		require.Equal(t, []float32{inf, inf}, edge[6:])
		nan := []float32{1, float32(math.NaN())}
		s.Exp(nan)
		require.True(t, math.IsNaN(float64(nan[1])), "NaN stays")
	})
}

func TestVectorsMatchLoops(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for n := range 67 {
			x, y := normal(rng("x", n), n), normal(rng("y", n), n)
			dot, total, top := 0.0, 0.0, math.Inf(-1)
			var sums, moved, scaled []float64
			for i := range x {
				dot += float64(x[i]) * float64(y[i])
				total += float64(x[i])
				top = max(top, float64(x[i]))
				sums = append(sums, float64(x[i])+float64(y[i]))
				moved = append(moved, float64(y[i])+3*float64(x[i]))
				scaled = append(scaled, -2*float64(x[i]))
			}
			const tolerance = 1e-5
			near(t, []float64{dot, total}, []float32{s.Dot(x, y), s.Sum(x)}, tolerance, fmt.Sprint("dot and sum of ", n))
			if n > 0 {
				require.EqualValues(t, top, s.Max(x))
			}
			a, b := append([]float32(nil), y...), append([]float32(nil), y...)
			s.Add(x, a)
			s.Axpy(3, x, b)
			near(t, sums, a, tolerance, "add")
			near(t, moved, b, tolerance, "axpy")
			s.Scale(-2, x)
			near(t, scaled, x, tolerance, "scale")
		}
		bad := []float32{float32(math.NaN()), 1}
		s.Scale(0, bad)
		require.Equal(t, []float32{0, 0}, bad)
	})
}
