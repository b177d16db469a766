//go:build !race

package ppo

import (
	"testing"

	"github.com/hone-rl/hone"
	"github.com/stretchr/testify/require"
)

// What an update allocates doesn't grow with the number of trajectories but by the names of their problems: slices are cut from a few.
func TestUpdatesAllocateLittle(t *testing.T) { //nolint:paralleltest // counts allocations
	w := newWorld(t, 1, 1)
	c := DefaultConfig()
	c.Epochs, c.Minibatches, c.TargetKL = 1, 1, 0
	learner := w.learner()
	count := func(problems int) float64 {
		in := w.input(c, w.sample(hone.Rand(2), prompts(problems), 3, copies))
		return testing.AllocsPerRun(5, func() {
			_, err := learner.Update(t.Context(), in)
			require.NoError(t, err)
		})
	}
	few, many := count(4), count(64)
	t.Logf("%v allocations with 4 trajectories, %v with 64", few, many)
	require.Less(t, few, 100.0)
	require.Less(t, many, few+64+20)
}
