package decode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// requireRowsAlike skips the test where the kernels' products treat equal rows differently by their place: then the bits of a
// result can depend on which requests share a step. OpenBLAS does so on its Haswell and Zen cores.
func requireRowsAlike(t *testing.T, set *kernel.Set) {
	t.Helper()
	const rows, in, width = 16, 344, 128
	a, b, c := make([]float32, rows*in), make([]float32, in*width), make([]float32, rows*width)
	for i := range b {
		b[i] = float32(i%101)/101 - 0.5
	}
	for i := range a {
		a[i] = float32(i%in%37)/37 - 0.4
	}
	set.Gemm(false, false, rows, width, in, 1, a, in, b, width, 0, c, width)
	for i := 1; i < rows; i++ {
		for j := range width {
			if c[j] != c[i*width+j] {
				t.Skipf("products of %s give equal rows other bits by their place", set.Fingerprint())
			}
		}
	}
}

// With the 1M preset, what a request gives has the same bits alone, among others and in waves, and so has what Score says of it.
func TestGenerateBitsDoNotDependOnNeighbours(t *testing.T) {
	t.Parallel()
	set := bestSet(t)
	requireRowsAlike(t, set)
	config, err := policy.Preset(policy.Preset1M, token.Arithmetic().Vocab())
	require.NoError(t, err)
	params := randomParams(t, config)
	reqs := mixedRequests(t, 150)
	together, err := newEngine(t, params, set, decode.Options{}).Generate(t.Context(), reqs)
	require.NoError(t, err)
	waves, err := newEngine(t, params, set, decode.Options{MaxLive: 37}).Generate(t.Context(), reqs)
	require.NoError(t, err)
	require.Equal(t, together, waves)
	engine := newEngine(t, params, set, decode.Options{})
	for i := 0; i < len(reqs); i += 13 {
		alone, err := engine.Generate(t.Context(), reqs[i:i+1])
		require.NoError(t, err)
		require.Equal(t, together[i], alone[0], "request %d", i)
		scores, err := engine.Score(t.Context(), []decode.Sequence{
			{Prompt: reqs[i].Prompt, Tokens: alone[0].Tokens, Temperature: reqs[i].Sampling.Temperature},
		})
		require.NoError(t, err)
		require.Equal(t, alone[0].Logp, scores[0].Logp, "request %d", i)
		require.Equal(t, alone[0].Values, scores[0].Values, "request %d", i)
	}
}
