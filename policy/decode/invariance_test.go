package decode_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
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

// With the 1M preset, what a request gives has the same bits alone and among others, in any order and any grouping into calls,
// with few and many places, with an empty, a filled and a tiny cache, and so has what Score says of it.
func TestBitsDoNotDependOnScheduling(t *testing.T) {
	t.Parallel()
	set := bestSet(t)
	requireRowsAlike(t, set)
	config, err := policy.Preset(policy.Preset1M, token.Arithmetic().Vocab())
	require.NoError(t, err)
	checkScheduling(t, set, config, decode.Options{}, 50)
}

// The same of a policy rounded to bfloat16.
func TestBitsOfBFloat16DoNotDependOnScheduling(t *testing.T) {
	t.Parallel()
	config, err := policy.Preset(policy.Preset1M, token.Arithmetic().Vocab())
	require.NoError(t, err)
	checkScheduling(t, bestSet(t), config, decode.Options{Precision: decode.BF16}, 20)
	config = small()
	config.Hidden = 24000
	checkScheduling(t, bestSet(t), config, decode.Options{Precision: decode.BF16}, 4)
}

// The same of a small mixture of experts with a window.
func TestBitsOfExpertsDoNotDependOnScheduling(t *testing.T) {
	t.Parallel()
	set := bestSet(t)
	requireRowsAlike(t, set)
	config := small()
	config.Window = 40
	config.MoE = policy.MoE{Experts: 8, Shared: 1, BiasRate: 0.001}
	checkScheduling(t, set, config, decode.Options{}, 12)
}

// The same of a policy of so many weights that a step is not cut into tiles.
func TestBitsOfHeavyWeightsDoNotDependOnScheduling(t *testing.T) {
	t.Parallel()
	set := bestSet(t)
	requireRowsAlike(t, set)
	config := small()
	config.Hidden = 12000
	require.Greater(t, config.NumParams(), 2<<20)
	checkScheduling(t, set, config, decode.Options{}, 12)
}

// checkScheduling samples n requests, and branches of them, in many ways.
func checkScheduling(t *testing.T, set *kernel.Set, config policy.Config, base decode.Options, n int) {
	t.Helper()
	params := randomParams(t, config)
	reqs := branches(t, newEngine(t, params, set, base), mixedRequests(t, n))
	want, err := newEngine(t, params, set, base).Generate(t.Context(), reqs)
	require.NoError(t, err)
	tests := []struct {
		name string
		opts decode.Options
		call int // requests a call
	}{
		{"one place", decode.Options{MaxLive: 1}, len(reqs)},
		{"three places", decode.Options{MaxLive: 3}, 40},
		{"many places", decode.Options{MaxLive: 512}, len(reqs)},
		{"small calls", decode.Options{}, 7},
		{"alone", decode.Options{}, 1},
		{"tiny cache", decode.Options{MaxLive: 17, CacheBytes: 1}, 60},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.opts.Precision = base.Precision
			engine := newEngine(t, params, set, test.opts)
			order := rand.New(rand.NewPCG(5, uint64(i))).Perm(len(reqs))
			for call := range slices.Chunk(order, test.call) {
				some := make([]decode.Request, len(call))
				for k, i := range call {
					some[k] = reqs[i]
				}
				got, err := engine.Generate(t.Context(), some)
				require.NoError(t, err)
				for k, i := range call {
					require.Equal(t, want[i], got[k], "request %d", i)
				}
				requireScores(t, engine, some, got)
			}
		})
	}
}

// branches are the requests and, for each, one that goes on from some of its completion, and one that goes on from all of it.
func branches(t *testing.T, engine *decode.Engine, reqs []decode.Request) []decode.Request {
	t.Helper()
	results, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	all := slices.Clone(reqs)
	for i, r := range results {
		for k, n := range []int{len(r.Tokens) / 2, len(r.Tokens)} {
			next := reqs[i]
			next.Prompt = slices.Concat(reqs[i].Prompt, r.Tokens[:n])
			next.Seed = hone.Seed(8, i, k)
			all = append(all, next)
		}
	}
	return all
}

// requireScores checks that Score gives the bits of the results.
func requireScores(t *testing.T, engine *decode.Engine, reqs []decode.Request, results []decode.Result) {
	t.Helper()
	seqs := make([]decode.Sequence, len(reqs))
	for i, req := range reqs {
		seqs[i] = decode.Sequence{Prompt: req.Prompt, Tokens: results[i].Tokens, Temperature: req.Sampling.Temperature}
	}
	scores, err := engine.Score(t.Context(), seqs)
	require.NoError(t, err)
	for i, r := range results {
		require.Equal(t, r.Logp, scores[i].Logp, "request %d", i)
		require.Equal(t, r.Values, scores[i].Values, "request %d", i)
		if r.Finish == hone.FinishLength {
			require.Equal(t, r.Bootstrap, scores[i].Bootstrap, "request %d", i)
		}
	}
}
