//go:build !race

package policy_test

import (
	"testing"

	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
)

// In steady state a step of supervised training allocates next to nothing: operators own their memory, kernels borrow theirs.
func TestStepsAllocateLittle(t *testing.T) { //nolint:paralleltest // counts allocations
	c := policy.DefaultConfig()
	p := lively(t, c)
	set, loss := kernels(t), policy.NewCrossEntropy()
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	optimizer, err := policy.NewAdamW(p, policy.DefaultAdamWConfig())
	require.NoError(t, err)
	data := batch(c, 60, 50, 100)
	loss.Set(make([]float32, data.Len()))
	allocations := testing.AllocsPerRun(10, func() {
		tr.ZeroGrads()
		_, err := tr.Gradient(t.Context(), data)
		require.NoError(t, err)
		_, err = optimizer.Step(set, p, tr.Grads(), 1e-3)
		require.NoError(t, err)
	})
	t.Logf("%v allocations a step", allocations)
	require.Less(t, allocations, 10.0)
}
