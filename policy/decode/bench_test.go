package decode_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
)

// BenchmarkGenerate samples 45 tokens after a prompt of 11 with the 1M preset, in groups of 8 of one prompt. No sequence ends
// early but by EOS, which a policy that knows nothing draws once in 280 tokens.
func BenchmarkGenerate(b *testing.B) {
	config := policy.DefaultConfig()
	config.Vocab = token.Arithmetic().Vocab()
	params, err := policy.Init(config, 1)
	require.NoError(b, err)
	for _, batch := range []int{16, 64, 256, 512} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			engine := newEngine(b, params, bestSet(b), decode.Options{})
			reqs := make([]decode.Request, batch)
			for i := range reqs {
				prompt := encode(b, fmt.Sprintf("Use 4 5 6 %d to make 24.\n", 7+i/8))
				require.Len(b, prompt, 11)
				reqs[i] = decode.Request{Prompt: prompt, Seed: uint64(i), MaxTokens: 45, Sampling: decode.Sampling{Temperature: 1}}
			}
			tokens := 0
			b.ReportAllocs()
			for b.Loop() {
				results, err := engine.Generate(b.Context(), reqs)
				require.NoError(b, err)
				for _, r := range results {
					tokens += len(r.Tokens)
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
