//go:build !race

package decode_test

import (
	"runtime"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/stretchr/testify/require"
)

// Steps allocate nothing, on one processor or on two: what is left belongs to a request or to a call.
func TestGenerateStepsAllocateNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, precision := range []decode.Precision{decode.Float32, decode.BF16} {
		set := kernel.Portable()
		if precision == decode.BF16 {
			set = bestSet(t)
		}
		for _, processors := range []int{1, 2} {
			runtime.GOMAXPROCS(processors)
			perStep := allocationsPerStep(t, set, precision)
			t.Logf("%s on %d processors: %.2f allocations a step", precision, processors, perStep)
			require.Less(t, perStep, 1.0)
		}
	}
}

func allocationsPerStep(t *testing.T, set *kernel.Set, precision decode.Precision) float64 {
	t.Helper()
	config := small()
	config.Vocab = narrow{}.Vocab()
	engine, err := decode.New(randomParams(t, config), narrow{token.Arithmetic()}, set, decode.Options{Precision: precision})
	require.NoError(t, err)
	allocations := func(maxTokens int) float64 {
		reqs := make([]decode.Request, 40)
		for i := range reqs {
			reqs[i] = decode.Request{
				Prompt: []hone.TokenID{1, 2}, Seed: uint64(i), MaxTokens: maxTokens,
				Sampling: decode.Sampling{Temperature: 0.1, TopP: float64(i%2) * 0.9}, Stop: []string{"never written"},
			}
		}
		const calls = 3
		var start, end runtime.MemStats
		runtime.ReadMemStats(&start)
		for range calls {
			_, err := engine.Generate(t.Context(), reqs)
			require.NoError(t, err)
		}
		runtime.ReadMemStats(&end)
		return float64(end.Mallocs-start.Mallocs) / calls
	}
	const few, many = 20, 60
	allocations(many)
	return (allocations(many) - allocations(few)) / (many - few)
}
