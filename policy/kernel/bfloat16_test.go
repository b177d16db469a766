package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
)

func TestBFloat16IsTheNearest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ x, want float32 }{
		{0, 0},
		{1, 1},
		{-1.0078125, -1.0078125},
		{1 + 1.0/256, 1},            // a tie: the even one
		{1 + 3.0/256, 1 + 2.0/128},  // a tie: the even one
		{1 + 1.01/256, 1 + 1.0/128}, // nearer
		{0x1p-126, 0x1p-126},        // the smallest that is normal
		{0x1p-127, 0},               // below
		{math.MaxFloat32, float32(math.Inf(1))},
		{float32(math.Inf(-1)), float32(math.Inf(-1))},
	} {
		require.Equal(t, c.want, kernel.NewBFloat16(c.x).Float32(), "of %v", c.x)
	}
	require.True(t, math.Signbit(float64(kernel.NewBFloat16(-0x1p-130).Float32())), "zero keeps its sign")
	require.True(t, math.IsNaN(float64(kernel.NewBFloat16(math.Float32frombits(0x7F800001)).Float32())))
}

// hostile are numbers that rounding and adding could get wrong.
func hostile(r *rand.Rand, n int) []float32 {
	x := normal(r, n)
	for i := range x {
		switch r.IntN(12) {
		case 0:
			x[i] = math.Float32frombits(r.Uint32())
		case 1:
			x[i] *= 0x1p-63
		case 2:
			x[i] = float32(math.Copysign(0, float64(x[i])))
		case 3:
			x[i] *= 0x1p-120
		}
	}
	return x
}

// requireSameNumbers is requireBits, but for which NaN it is.
func requireSameNumbers(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if want[i] != want[i] && got[i] != got[i] {
			continue
		}
		require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]), "%s: element %d is %v, want %v", what, i, got[i], want[i])
	}
}

// linears gives the results of all kernels for one product, by name.
func linears(w []float32, in, m int, x, y []float32, add bool) map[string][]float32 {
	out := map[string][]float32{}
	for name, s := range kernel.BFloat16Kernels() {
		weight := s.NewBFloat16Weight(w, in)
		got := append([]float32(nil), y...)
		s.Linear(weight, 0, weight.Out, got, len(y)/m, x, m, add)
		out[name] = got
	}
	return out
}

func TestKernelsOfBFloat16GiveEqualBits(t *testing.T) {
	t.Parallel()
	for _, shape := range [][3]int{
		{1, 1, 1},
		{1, 128, 512},
		{3, 17, 31},
		{16, 344, 128},
		{17, 33, 40},
		{31, 64, 64},
		{32, 32, 32},
		{33, 96, 65},
		{70, 1000, 36},
		{129, 600, 100},
	} {
		m, in, out := shape[0], shape[1], shape[2]
		for _, add := range []bool{false, true} {
			for name, draw := range map[string]func(*rand.Rand, int) []float32{"normal": normal, "hostile": hostile} {
				r := rng("half", m, in, out)
				w, x, y := draw(r, out*in), draw(r, m*in), draw(r, m*(out+3))
				all := linears(w, in, m, x, y, add)
				for set, got := range all {
					requireSameNumbers(t, all["go"], got, fmt.Sprintf("%s, %v of %s numbers, added: %v", set, shape, name, add))
				}
			}
		}
	}
}

// In what is added to, in the products and in what comes out.
func TestTinySumsOfBFloat16AreZero(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ x, w, y float32 }{
		{0, 1, -0x1p-130},
		{0x1p-70, 0x1p-70, 0},
		{-1, 0x1p-126, 0x1.8p-126},
	} {
		const m, out = 3, 40
		all := linears(slices.Repeat([]float32{c.w}, out), 1, m, slices.Repeat([]float32{c.x}, m), slices.Repeat([]float32{c.y}, m*out), true)
		for name, got := range all {
			requireSameNumbers(t, make([]float32, m*out), got, fmt.Sprintf("%s: %v * %v + %v", name, c.x, c.w, c.y))
		}
	}
}

// In float64, from the same rounded numbers.
func TestLinearOfBFloat16AgreesWithFloat64(t *testing.T) {
	t.Parallel()
	for name, s := range kernel.BFloat16Kernels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const m, in, out, ldy = 37, 200, 70, 75
			r := rng("linear")
			w, x, y := normal(r, out*in), normal(r, m*in), normal(r, m*ldy)
			weight, got := s.NewBFloat16Weight(w, in), append([]float32(nil), y...)
			require.True(t, weight.BFloat16())
			s.Linear(weight, 32, 64, got, ldy, x, m, true)
			round := func(x float32) float64 { return float64(kernel.NewBFloat16(x).Float32()) }
			want := wide(y)
			for i := range m {
				for j := 32; j < 64; j++ {
					for k := range in {
						want[i*ldy+j] += round(x[i*in+k]) * round(w[j*in+k])
					}
				}
			}
			near(t, want, got, s.Tolerance()*math.Sqrt(in), "y")
		})
	}
}

func TestARowOfBFloat16DoesNotDependOnTheOthers(t *testing.T) {
	t.Parallel()
	for name, s := range kernel.BFloat16Kernels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const most, in, out = 150, 600, 5*kernel.WeightGrain + 8
			r := rng("rows of halves")
			x := normal(r, most*in)
			weight := s.NewBFloat16Weight(normal(r, out*in), in)
			want := make([]float32, most*out)
			s.Linear(weight, 0, out, want, out, x, most, false)
			rounded := make([]kernel.BFloat16, most*kernel.BFloat16Row(in))
			s.RoundBFloat16(rounded, x, in)
			for _, rows := range [][2]int{{0, 1}, {149, 150}, {3, 19}, {5, 36}, {40, 75}, {20, 148}} {
				got := make([]float32, (rows[1]-rows[0])*out)
				for _, columns := range []int{kernel.WeightGrain, 4 * kernel.WeightGrain, out} { // a piece of them at a time
					for first := 0; first < out; first += columns {
						s.LinearBFloat16(weight, first, min(first+columns, out), got, out,
							rounded[rows[0]*kernel.BFloat16Row(in):], rows[1]-rows[0], false)
					}
					requireBits(t, want[rows[0]*out:rows[1]*out], got, fmt.Sprint(rows, columns))
				}
			}
		})
	}
}

func TestProductsOfBFloat16HandOnWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	const in, out = 40, 33
	for _, bad := range []float32{nan(), float32(math.Inf(1)), float32(math.Inf(-1))} {
		w, x := normal(rng("w"), out*in), normal(rng("x"), 2*in)
		x[in+7] = bad
		for name, got := range linears(w, in, 2, x, make([]float32, 2*out), false) {
			for j := range out {
				require.False(t, math.IsNaN(float64(got[j])) || math.IsInf(float64(got[j]), 0), "%s: the other row", name)
				require.True(t, math.IsNaN(float64(got[out+j])) || math.IsInf(float64(got[out+j]), 0), "%s: %v", name, bad)
			}
		}
	}
}

func TestLinearOfBFloat16RefusesAnotherWeight(t *testing.T) {
	t.Parallel()
	s := kernel.Portable()
	w := s.NewWeight(make([]float32, 64), 2)
	require.False(t, w.BFloat16())
	require.Panics(t, func() { s.LinearBFloat16(w, 0, 32, make([]float32, 32), 32, make([]kernel.BFloat16, 32), 1, false) })
	half := s.NewBFloat16Weight(make([]float32, 64), 2)
	require.Panics(t, func() { s.LinearBFloat16(half, 0, 32, make([]float32, 32), 32, make([]kernel.BFloat16, 31), 1, false) })
	require.Panics(t, func() { s.LinearBFloat16(half, 1, 32, make([]float32, 32), 32, make([]kernel.BFloat16, 32), 1, false) })
}

func FuzzLinearOfBFloat16(f *testing.F) {
	f.Add(uint64(1), uint16(5), uint16(70), uint16(33), true)
	f.Add(uint64(2), uint16(64), uint16(32), uint16(64), false)
	f.Fuzz(func(t *testing.T, seed uint64, rows, in, out uint16, add bool) {
		m, k, n := int(rows%80)+1, int(in%700)+1, int(out%100)+1
		r := rng("fuzz", seed)
		w, x, y := hostile(r, n*k), hostile(r, m*k), hostile(r, m*n)
		all := linears(w, k, m, x, y, add)
		for name, got := range all {
			requireSameNumbers(t, all["go"], got, fmt.Sprintf("%s, seed %d, %d x %d x %d", name, seed, m, k, n))
		}
	})
}

// Sums over a cache have the same bits on all kernels, and are those of float64 over the same rounded numbers.
func TestSumsOverACacheOfBFloat16(t *testing.T) {
	t.Parallel()
	for _, shape := range [][3]int{{1, 32, 1}, {2, 32, 32}, {2, 32, 150}, {3, 64, 70}, {4, 8, 33}, {3, 40, 64}, {17, 32, 40}} {
		heads, width, positions := shape[0], shape[1], shape[2]
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			checkCache(t, heads, width, positions)
		})
	}
}

func checkCache(t *testing.T, heads, width, positions int) {
	t.Helper()
	plain := kernel.Portable()
	r := rng("cache", heads, width, positions)
	row := kernel.BFloat16Row(width)
	rounded := func(rows, n int) []kernel.BFloat16 {
		out := make([]kernel.BFloat16, rows*kernel.BFloat16Row(n))
		plain.RoundBFloat16(out, normal(r, rows*n), n)
		return out
	}
	queries, keys, values := rounded(heads, width), rounded(positions, width), rounded(positions, width)
	panels := (positions + kernel.CachePanel - 1) / kernel.CachePanel
	stride := panels*kernel.CachePanel + 32
	weights := make([]kernel.BFloat16, heads*stride)
	for h := range heads {
		copy(weights[h*stride:], rounded(1, positions))
	}
	var k, v [][]kernel.BFloat16
	for p := range positions {
		if p%kernel.CachePanel == 0 {
			dirt := slices.Repeat([]kernel.BFloat16{kernel.NewBFloat16(nan())}, kernel.CachePanelLen(width))
			k, v = append(k, dirt), append(v, make([]kernel.BFloat16, kernel.CachePanelLen(width)))
		}
		kernel.StoreKey(k[len(k)-1], keys[p*row:(p+1)*row], p%kernel.CachePanel)
		kernel.StoreValue(v[len(v)-1], values[p*row:(p+1)*row], p%kernel.CachePanel)
	}
	wantScores, wantOut := make([]float64, heads*positions), make([]float64, heads*width)
	for h := range heads {
		for p := range positions {
			for c := range width {
				wantScores[h*positions+p] += float64(queries[h*row+c].Float32()) * float64(keys[p*row+c].Float32())
				wantOut[h*width+c] += float64(weights[h*stride+p].Float32()) * float64(values[p*row+c].Float32())
			}
		}
	}
	var firstScores, firstOut []float32
	for name, s := range kernel.BFloat16Kernels() {
		scores, out, some := make([]float32, heads*stride), normal(r, heads*width), []float32(nil)
		s.CacheScores(scores, stride, queries, width, k)
		for h := range heads {
			some = append(some, scores[h*stride:h*stride+positions]...)
		}
		s.CacheMix(out, width, weights, stride, v)
		near(t, wantScores, some, 1e-5, name+" scores")
		near(t, wantOut, out, 1e-5, name+" out")
		if firstScores == nil {
			firstScores, firstOut = some, out
		}
		requireBits(t, firstScores, some, name+" scores")
		requireBits(t, firstOut, out, name+" out")
	}
}

func TestForgottenValuesAreZero(t *testing.T) {
	t.Parallel()
	const width, kept = 64, 5
	ones := slices.Repeat([]kernel.BFloat16{kernel.NewBFloat16(1)}, width)
	panel := make([]kernel.BFloat16, kernel.CachePanelLen(width))
	for p := range kernel.CachePanel {
		kernel.StoreValue(panel, ones, p)
	}
	kernel.ForgetValues(panel, kept)
	weights := make([]kernel.BFloat16, kernel.CachePanel)
	for p := range weights {
		weights[p] = kernel.NewBFloat16(1)
	}
	out := make([]float32, width)
	kernel.Portable().CacheMix(out, width, weights, kernel.CachePanel, [][]kernel.BFloat16{panel})
	require.Equal(t, slices.Repeat([]float32{kept}, width), out)
}
