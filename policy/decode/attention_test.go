package decode

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/kernel"
)

// Both forms of the sums against float64 loops, at lengths around the unrolled ones and at several widths of a head.
func TestAttentionSums(t *testing.T) {
	t.Parallel()
	set, err := kernel.Open()
	require.NoError(t, err)
	for _, width := range []int{8, 16, 32, 40, 64, 128} {
		forms := map[string]attention{"plain": plainAttention(kernel.Portable()), "chosen": newAttention(set, width)}
		for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 31, 32} {
			for name, form := range forms {
				t.Run(fmt.Sprintf("%s/width=%d/n=%d", name, width, n), func(t *testing.T) {
					t.Parallel()
					checkAttention(t, form, n, width)
				})
			}
		}
	}
}

func checkAttention(t *testing.T, form attention, n, width int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(n), uint64(width)))
	draw := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	query, keys, weights, out := draw(width), draw(n*width+3), draw(n), draw(width)
	scores, mixed := make([]float32, n+1), append([]float32(nil), out...)
	scores[n] = 77
	form.scores(scores[:n], query, keys, 0.25)
	form.mix(mixed, weights, keys)
	require.Equal(t, float32(77), scores[n], "wrote past the end")
	for i := range n {
		want := 0.0
		for j, q := range query {
			want += 0.25 * float64(q) * float64(keys[i*width+j])
		}
		require.InDelta(t, want, scores[i], 1e-5)
	}
	for j := range width {
		want := float64(out[j])
		for i, p := range weights {
			want += float64(p) * float64(keys[i*width+j])
		}
		require.InDelta(t, want, mixed[j], 1e-5)
	}
}
