package decode_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
)

// Samples of one prompt read it once, a prompt that extends an earlier text feeds what is new, and a prompt seen before only its
// last token.
func TestPrefixesAreReadOnce(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{})
	prompt := encode(t, "Use 4 5 6 10 to make 24.\n")
	n := len(prompt)
	var last decode.Stats
	spent := func() (fed, reused int) {
		now := engine.Stats()
		fed, reused, last = now.Fed-last.Fed, now.Reused-last.Reused, now
		return fed, reused
	}
	reqs := make([]decode.Request, 8)
	for i := range reqs {
		reqs[i] = decode.Request{Prompt: prompt, Seed: uint64(i), MaxTokens: 40, Sampling: decode.Sampling{Temperature: 1}}
	}
	results, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	fed, reused := spent()
	require.Equal(t, n+7, fed)
	require.Equal(t, 7*(n-1), reused)

	turn := encode(t, "5 + 6 = 11\n")
	given, generated := 0, 0
	for i, r := range results {
		length := len(r.Tokens)
		if r.Finish == hone.FinishStop {
			length-- // the end of sequence isn't fed
		}
		reqs[i].Prompt = slices.Concat(prompt, r.Tokens[:length], turn)
		given += len(reqs[i].Prompt)
		generated += len(r.Tokens)
	}
	require.Equal(t, generated, last.Generated)
	_, err = engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	fed, reused = spent()
	require.Equal(t, len(reqs)*len(turn), fed)
	require.Equal(t, given-len(reqs)*len(turn), reused)

	_, err = engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	fed, _ = spent()
	require.Equal(t, len(reqs), fed)
	require.Zero(t, last.Evicted)
	require.Positive(t, last.Blocks)
}

// Without room the cache keeps no more than it was given, and says what it gave up.
func TestCacheStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	const blocks = 10
	config := small()
	bytes := blocks * 32 * 2 * config.Layers * config.KVHeads * config.HeadDim() * 4
	engine := newEngine(t, randomParams(t, config), bestSet(t), decode.Options{MaxLive: 2, CacheBytes: bytes})
	_, err := engine.Generate(t.Context(), mixedRequests(t, 60))
	require.NoError(t, err)
	stats := engine.Stats()
	require.LessOrEqual(t, stats.Blocks, blocks)
	require.Positive(t, stats.Evicted)
}

// Of two places one is taken by a long completion; the short ones go through the other, one after another, in the same steps.
func TestPlacesAreRefilledAtOnce(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{MaxLive: 2})
	reqs := make([]decode.Request, 9)
	for i := range reqs {
		reqs[i] = decode.Request{Prompt: []hone.TokenID{hone.TokenID(i + 1)}, MaxTokens: 6}
	}
	reqs[0].MaxTokens = 70
	results, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	long, short := 0, 0
	for i, r := range results {
		steps := len(r.Tokens)
		if r.Finish == hone.FinishLength {
			steps++ // reads Bootstrap
		}
		if i == 0 {
			long = steps
		} else {
			short += steps
		}
	}
	require.Greater(t, long, short)
	require.Greater(t, short, 30)
	require.Equal(t, long, engine.Stats().Steps)
}
