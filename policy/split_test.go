package policy_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
)

// One step's gradient has the same bits however its sequences are cut into batches, and on any number of processors.
func TestGradientDoesNotDependOnTheSplit(t *testing.T) { //nolint:paralleltest // sets GOMAXPROCS
	if set := kernels(t); !strings.HasPrefix(set.Fingerprint(), "assembly/") {
		t.Skipf("products of %s don't add sequence by sequence", set.Fingerprint())
	}
	for _, vocab := range []int{300, 20000} { // with the larger one, the output layer works in chunks where the batch is large
		c := policy.DefaultConfig()
		c.Vocab, c.Width, c.Hidden, c.Layers, c.Window = vocab, 64, 88, 2, 40
		t.Run(fmt.Sprintf("vocab=%d", vocab), func(t *testing.T) { testSplit(t, c) })
	}
}

func testSplit(t *testing.T, c policy.Config) {
	t.Helper()
	lengths := []int{50, 3, 270, 17, 64, 128, 1 + policy.DefaultConfig().Context/2, 9}
	p := lively(t, c)
	gradient := func(cuts []int) []float32 {
		loss := policy.NewCrossEntropy()
		tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
		for i := range len(cuts) - 1 {
			var b policy.Batch
			for j := cuts[i]; j < cuts[i+1]; j++ {
				r := hone.Rand(hone.Seed(1, "sequence", j))
				tokens := make([]hone.TokenID, lengths[j])
				for k := range tokens {
					tokens[k] = hone.TokenID(r.IntN(c.Vocab))
				}
				b.Append(tokens, 1)
			}
			weights := make([]float32, b.Len())
			for k := range weights {
				weights[k] = 0.01
			}
			loss.Set(weights)
			_, err := tr.Gradient(t.Context(), b)
			require.NoError(t, err)
		}
		return tr.Grads().Flat()
	}
	want := gradient([]int{0, 8})
	norm := 0.0
	for _, v := range want {
		norm += float64(v) * float64(v)
	}
	require.Greater(t, norm, 1e-3, "there is a gradient")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cuts := range [][]int{{0, 8}, {0, 3, 8}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 5, 6, 8}} {
		for _, processors := range []int{1, 2, 3} {
			runtime.GOMAXPROCS(processors)
			got := gradient(cuts)
			for i := range want {
				if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
					require.Fail(t, fmt.Sprintf("cut at %v on %d processors: element %d is %v, want %v", cuts, processors, i, got[i], want[i]))
				}
			}
		}
	}
}
