package policy_test

import (
	"testing"

	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
)

// deep has enough blocks for several to take turns with memory.
func deep(layers int) policy.Config {
	c := tiny()
	c.Layers = layers
	return c
}

func TestCheckpointedGradientsHaveTheSameBits(t *testing.T) {
	t.Parallel()
	for name, c := range configs() {
		c.Layers = 5
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := lively(t, c)
			loss := newMixture(400)
			plain := trainer(t, p, policy.TrainerOptions{Temperature: 0.7, Loss: loss})
			saving := trainer(t, p, policy.TrainerOptions{Temperature: 0.7, Loss: loss, Checkpoint: true})
			for _, lengths := range [][]int{{6, 1, 11}, {16, 3}, {5}} {
				b := batch(c, lengths...)
				want, err := plain.Gradient(t.Context(), b)
				require.NoError(t, err)
				got, err := saving.Gradient(t.Context(), b)
				require.NoError(t, err)
				require.Equal(t, want, got)
				require.Equal(t, plain.Grads().Digest(), saving.Grads().Digest())
				wantScores, err := plain.Evaluate(t.Context(), b)
				require.NoError(t, err)
				scores, err := saving.Evaluate(t.Context(), b)
				require.NoError(t, err)
				require.Equal(t, wantScores, scores)
			}
		})
	}
}

func TestCheckpointKeepsOneMatrixABlock(t *testing.T) {
	t.Parallel()
	const capacity = 256 // of the smallest graph
	c := tiny()
	perBlock := func(checkpoint bool) int {
		bytes := func(layers int) int {
			c := deep(layers)
			loss := policy.NewCrossEntropy()
			loss.Set(make([]float32, 6))
			tr := trainer(t, lively(t, c), policy.TrainerOptions{Loss: loss, Checkpoint: checkpoint})
			require.Zero(t, tr.Bytes())
			_, err := tr.Gradient(t.Context(), batch(c, 6))
			require.NoError(t, err)
			return tr.Bytes()
		}
		return (bytes(7) - bytes(3)) / 4
	}
	// A block's output, the two norms' and the softmax's factors for each token, and the gradients of the norms' weights.
	kept := 4 * (capacity*(c.Width+2+c.Heads) + 2*c.Width)
	require.Equal(t, kept, perBlock(true))
	// Else four more matrices of the width, queries, keys and values twice, gate and up, and their product.
	activations := 4 * capacity * (4*c.Width + 2*(c.Width+2*c.KVHeads*c.HeadDim()) + 3*c.Hidden)
	require.Equal(t, kept+activations, perBlock(false))
}

func TestEvaluationKeepsOneMatrixABlock(t *testing.T) {
	t.Parallel()
	bytes := func(layers int) int {
		c := deep(layers)
		tr := trainer(t, lively(t, c), policy.TrainerOptions{})
		_, err := tr.Evaluate(t.Context(), batch(c, 6))
		require.NoError(t, err)
		return tr.Bytes()
	}
	c := tiny()
	require.Equal(t, 4*256*(c.Width+2+c.Heads), bytes(4)-bytes(3))
}
