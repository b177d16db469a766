package decode_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
)

// fresh is a policy that knows nothing, of a preset's size: it draws EOS once in 280 tokens.
func fresh(b *testing.B, preset string) *policy.Params {
	b.Helper()
	config, err := policy.Preset(preset, token.Arithmetic().Vocab())
	require.NoError(b, err)
	params, err := policy.Init(config, 1)
	require.NoError(b, err)
	return params
}

// samples are n requests for tokens after a prompt of 11, in groups of 8 of one prompt.
func samples(b *testing.B, n, tokens int) []decode.Request {
	b.Helper()
	reqs := make([]decode.Request, n)
	for i := range reqs {
		prompt := encode(b, fmt.Sprintf("Use 4 5 6 %d to make 24.\n", 7+i/8))
		require.Len(b, prompt, 11)
		reqs[i] = decode.Request{Prompt: prompt, Seed: uint64(i), MaxTokens: tokens, Sampling: decode.Sampling{Temperature: 1}}
	}
	return reqs
}

// generate runs the requests, `call` of them a call, and counts the sampled tokens.
func generate(b *testing.B, engine *decode.Engine, reqs []decode.Request, call int) {
	b.Helper()
	before := engine.Stats().Generated
	b.ReportAllocs()
	for b.Loop() {
		for some := range slices.Chunk(reqs, call) {
			_, err := engine.Generate(b.Context(), some)
			require.NoError(b, err)
		}
	}
	b.ReportMetric(float64(engine.Stats().Generated-before)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkGenerate samples 45 tokens each.
func BenchmarkGenerate(b *testing.B) {
	for _, preset := range []string{policy.Preset1M, policy.Preset10M} {
		params := fresh(b, preset)
		for _, batch := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/batch=%d", preset, batch), func(b *testing.B) {
				generate(b, newEngine(b, params, bestSet(b), decode.Options{}), samples(b, batch, 45), batch)
			})
		}
	}
}

// BenchmarkMixedLengths samples 128 completions of 4 to 196 tokens with 16 places: all in one call, where the next request takes
// the place of one that ended, and in calls of 16, each of which waits for its longest.
func BenchmarkMixedLengths(b *testing.B) {
	const places = 16
	for _, preset := range []string{policy.Preset1M, policy.Preset10M} {
		params := fresh(b, preset)
		reqs := samples(b, 8*places, 0)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range reqs {
			reqs[i].MaxTokens = 4 + random.IntN(193)
		}
		for name, call := range map[string]int{"continuous": len(reqs), "waves": places} {
			b.Run(preset+"/"+name, func(b *testing.B) {
				engine := newEngine(b, params, bestSet(b), decode.Options{MaxLive: places})
				generate(b, engine, reqs, call)
				stats := engine.Stats()
				b.ReportMetric(float64(stats.Generated)/float64(stats.Steps), "rows/step")
			})
		}
	}
}

// BenchmarkTree grows 16 trees as a search does: from a prompt of 44 tokens, 4 candidates of 10 tokens for the next step, of which
// one is gone on from, 10 steps deep. With new prompts in every call, the candidates of a step share what they read, but nothing
// is left of the steps before.
func BenchmarkTree(b *testing.B) {
	params := fresh(b, policy.Preset1M)
	for name, renew := range map[string]bool{"growing": false, "renewed": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var total decode.Stats
			for b.Loop() {
				engine := newEngine(b, params, bestSet(b), decode.Options{})
				growTrees(b, engine, renew)
				stats := engine.Stats()
				total.Generated += stats.Generated
				total.Fed += stats.Fed
				total.Reused += stats.Reused
			}
			b.ReportMetric(float64(total.Generated)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(float64(total.Reused)/float64(total.Reused+total.Fed), "reused")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func growTrees(b *testing.B, engine *decode.Engine, renew bool) {
	b.Helper()
	const trees, candidates, depth = 16, 4, 10
	prompts := samples(b, 8*trees, 0)
	reqs := make([]decode.Request, trees*candidates)
	for i := range reqs {
		prompt := prompts[i/candidates*8].Prompt
		reqs[i] = decode.Request{
			Prompt: slices.Repeat(prompt, 4), Seed: uint64(i), MaxTokens: 10, Sampling: decode.Sampling{Temperature: 1},
		}
	}
	for step := range depth {
		results, err := engine.Generate(b.Context(), reqs)
		require.NoError(b, err)
		for i := range reqs {
			best := i - i%candidates + step%candidates
			reqs[i].Prompt = slices.Concat(reqs[i].Prompt, results[best].Tokens)
			reqs[i].Seed++
			if renew {
				reqs[i].Prompt[0] = hone.TokenID(step)
			}
		}
	}
}
