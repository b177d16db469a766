package kernel_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/kernel"
)

// Few rows are multiplied by other kernels than many, several panels at a time: their bits are those of all rows and all columns together,
// and so are those that are added to.
func TestLinearInPieces(t *testing.T) {
	t.Parallel()
	const most, in, out = 120, 600, 300
	r := rng("linear in pieces")
	x, y, rows := normal(r, most*in), normal(r, most*out), normal(r, out*in)
	for _, s := range own(t) {
		w := s.NewWeight(rows, in)
		for _, add := range []bool{false, true} {
			want := slices.Clone(y)
			s.Linear(w, 0, out, want, out, x, most, add)
			for _, piece := range [][2]int{{0, 1}, {119, 120}, {3, 5}, {10, 24}, {40, 56}, {7, 71}} {
				for _, columns := range []int{kernel.WeightGrain, 2 * kernel.WeightGrain, 7 * kernel.WeightGrain} {
					lo, hi := piece[0], piece[1]
					got := slices.Clone(y[lo*out : hi*out])
					for first := 0; first < out; first += columns {
						s.Linear(w, first, min(first+columns, out), got, out, x[lo*in:], hi-lo, add)
					}
					requireBits(t, want[lo*out:hi*out], got, fmt.Sprint(s.Name(), add, piece, columns))
				}
			}
		}
	}
}

// What sampling does for each token and each matrix leaves nothing for the garbage collector.
//
//nolint:paralleltest // allocations are counted for the process
func TestLinearAllocatesNothing(t *testing.T) {
	const most, in, out = 20, 600, 300
	r := rng("linear allocates nothing")
	x, y, rows := normal(r, most*in), normal(r, most*out), normal(r, out*in)
	for _, s := range own(t) {
		for kind, w := range map[string]*kernel.Weight{"float32": s.NewWeight(rows, in), "bfloat16": s.NewBFloat16Weight(rows, in)} {
			packed := make([]float32, s.PackedLen(w, most))
			for _, m := range []int{1, 2, most} {
				require.Zero(t, testing.AllocsPerRun(20, func() {
					s.PackRows(w, packed, x, m, 0, m)
					s.LinearPacked(w, 0, out, y, out, packed, m, true)
				}), "%s %s %d", s.Name(), kind, m)
			}
		}
	}
}
