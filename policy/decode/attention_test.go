package decode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/kernel"
)

// Both forms of the sums against float64 loops, at lengths around the unrolled ones, at several widths of a head and numbers of
// heads. A head's results have the same bits whatever heads are beside it.
func TestAttentionSums(t *testing.T) {
	t.Parallel()
	set, err := kernel.Open()
	require.NoError(t, err)
	for _, width := range []int{8, 16, 32, 40, 64, 128} {
		forms := map[string]attention{"plain": plainAttention(kernel.Portable()), "chosen": newAttention(set, width)}
		for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 31, 32} {
			for _, heads := range []int{1, 2, 3, 4} {
				for name, form := range forms {
					t.Run(fmt.Sprintf("%s/width=%d/n=%d/heads=%d", name, width, n, heads), func(t *testing.T) {
						t.Parallel()
						checkAttention(t, form, sums{positions: n, heads: heads, width: width, stride: n + 2, scale: 0.25})
					})
				}
			}
		}
	}
}

func checkAttention(t *testing.T, form attention, s sums) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(s.positions), uint64(s.width)))
	draw := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	queries, keys, weights, out := draw(s.heads*s.width), draw(s.positions*s.width+3), draw(s.heads*s.stride), draw(s.heads*s.width)
	scores, mixed := slices.Repeat([]float32{77}, s.heads*s.stride), slices.Clone(out)
	form.scores(s, scores, queries, keys)
	form.mix(s, mixed, weights, keys)
	for h := range s.heads {
		one := sums{positions: s.positions, heads: 1, width: s.width, scale: s.scale}
		alone, mixedAlone := make([]float32, s.positions), slices.Clone(out[h*s.width:][:s.width])
		form.scores(one, alone, queries[h*s.width:][:s.width], keys)
		form.mix(one, mixedAlone, weights[h*s.stride:], keys)
		require.Equal(t, alone, scores[h*s.stride:][:s.positions])
		require.Equal(t, mixedAlone, mixed[h*s.width:][:s.width])
		require.Equal(t, []float32{77, 77}, scores[h*s.stride+s.positions:][:2], "wrote past the end")
		for i := range s.positions {
			want := 0.0
			for j, q := range queries[h*s.width:][:s.width] {
				want += 0.25 * float64(q) * float64(keys[i*s.width+j])
			}
			require.InDelta(t, want, alone[i], 1e-5)
		}
		for j := range s.width {
			want := float64(out[h*s.width+j])
			for i, p := range weights[h*s.stride:][:s.positions] {
				want += float64(p) * float64(keys[i*s.width+j])
			}
			require.InDelta(t, want, mixedAlone[j], 1e-5)
		}
	}
}

// BenchmarkAttend is the sums of one query over a block of 32 positions in the nearest cache, for heads of 32.
func BenchmarkAttend(b *testing.B) {
	set, err := kernel.Open()
	require.NoError(b, err)
	const positions, width = 32, 32
	form := newAttention(set, width)
	keys, scores := make([]float32, positions*width), make([]float32, 4*positions)
	queries, out := make([]float32, 4*width), make([]float32, 4*width)
	for _, heads := range []int{1, 2, 3, 4} {
		b.Run(fmt.Sprintf("heads=%d", heads), func(b *testing.B) {
			s := sums{positions: positions, heads: heads, width: width, stride: positions, scale: 1}
			for b.Loop() {
				form.scores(s, scores, queries, keys)
				form.mix(s, out, scores, keys)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*positions*heads), "ns/position")
			b.ReportMetric(0, "ns/op")
		})
	}
}
