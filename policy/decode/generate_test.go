package decode_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// mixedRequests are n requests of various prompts (some equal), lengths and ways of sampling.
func mixedRequests(t testing.TB, n int) []decode.Request {
	t.Helper()
	prompts := []string{
		"Use 4 5 6 10 to make 24.\n", "7", "Use 1 2 3 4 to make 24.\n", "Use 4 5 6 10 to make 24.\n10 - 4 = 6 (left: 5 6 6)\n",
		strings.Repeat("12 + 7 = 19 ", 6),
	}
	samplings := []decode.Sampling{
		{Temperature: 1}, {}, {Temperature: 0.7, TopK: 20}, {Temperature: 1.3, TopP: 0.9}, {Temperature: 1, TopK: 50, TopP: 0.8},
	}
	reqs := make([]decode.Request, n)
	for i := range reqs {
		reqs[i] = decode.Request{
			Prompt: encode(t, prompts[i/2%len(prompts)]), Seed: hone.Seed(3, "sample", i), MaxTokens: 5 + 7*(i%6),
			Sampling: samplings[i%len(samplings)],
		}
	}
	return reqs
}

func requireNear(t testing.TB, want float64, got float32, within float64, what string, at ...int) {
	t.Helper()
	if !(math.Abs(want-float64(got)) <= within) {
		require.Failf(t, "numbers differ", "%s %v: want %v, got %v, difference %.3g", what, at, want, got, want-float64(got))
	}
}

// requireTwin checks every number of a result against the float64 twin, and every token of a greedy one.
func requireTwin(t *testing.T, w twin, i int, req decode.Request, got decode.Result) {
	t.Helper()
	temperature := req.Sampling.Temperature
	if temperature == 0 {
		temperature = 1
	}
	all := append(append([]hone.TokenID(nil), req.Prompt...), got.Tokens...)
	logits, values := w.forward(all)
	for at, id := range got.Tokens {
		state := len(req.Prompt) + at - 1
		logp := logSoftmax(logits[state], temperature)
		requireNear(t, logp[id], got.Logp[at], tolerance, "logp", i, at)
		requireNear(t, values[state], got.Values[at], tolerance, "value", i, at)
		if req.Sampling.Temperature == 0 {
			for other := range logp {
				require.LessOrEqual(t, logp[other], logp[id]+tolerance, "greedy, request %d token %d", i, at)
			}
		}
	}
	if got.Finish == hone.FinishStop {
		require.Zero(t, got.Bootstrap)
		require.Equal(t, token.Arithmetic().EOS(), got.Tokens[len(got.Tokens)-1])
		return
	}
	require.Equal(t, hone.FinishLength, got.Finish)
	requireNear(t, values[len(all)-1], got.Bootstrap, tolerance, "bootstrap", i)
}

func TestGenerateAgreesWithTwin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  *kernel.Set
		edit func(c *policy.Config)
	}{
		{"best kernels", bestSet(t), func(*policy.Config) {}},
		{"portable kernels", kernel.Portable(), func(*policy.Config) {}},
		{"untied", bestSet(t), func(c *policy.Config) { c.Untied = true }},
		{"window", bestSet(t), func(c *policy.Config) { c.Window = 9 }},
		{"window of a cache block", bestSet(t), func(c *policy.Config) { c.Window = 32 }},
		{"experts", bestSet(t), func(c *policy.Config) { c.MoE = policy.MoE{Experts: 8} }},
		{"shared experts", kernel.Portable(), func(c *policy.Config) { c.MoE = policy.MoE{Experts: 5, TopK: 3, Shared: 2, BiasRate: 0.1} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := small()
			test.edit(&config)
			params := randomParams(t, config)
			reqs := mixedRequests(t, 23)
			results, err := newEngine(t, params, test.set, decode.Options{}).Generate(t.Context(), reqs)
			require.NoError(t, err)
			for i, got := range results {
				requireTwin(t, twin{config, params, false}, i, reqs[i], got)
			}
		})
	}
}

// Prompts longer than a pass go through it in pieces.
func TestGenerateReadsLongPrompts(t *testing.T) {
	t.Parallel()
	config := small()
	config.Context = 400
	params := randomParams(t, config)
	reqs := []decode.Request{
		{Prompt: encode(t, strings.Repeat("12 + 7 = 19 ", 45)), MaxTokens: 2},
		{Prompt: encode(t, strings.Repeat("3 * 7 = 21 ", 23)), MaxTokens: 2},
		{Prompt: encode(t, "8"), MaxTokens: 2},
	}
	for _, maxLive := range []int{0, 1} { // beside each other, and each on all processors
		results, err := newEngine(t, params, bestSet(t), decode.Options{MaxLive: maxLive}).Generate(t.Context(), reqs)
		require.NoError(t, err)
		for i, got := range results {
			requireTwin(t, twin{config, params, false}, i, reqs[i], got)
		}
	}
}

// A request alone draws the same tokens as in a batch, whatever the number of places; its numbers may differ by the rounding of
// products on kernels that treat rows differently.
func TestGenerateAloneAndInBatchAndInFewPlaces(t *testing.T) {
	t.Parallel()
	params := randomParams(t, small())
	reqs := mixedRequests(t, 20)
	together, err := newEngine(t, params, bestSet(t), decode.Options{}).Generate(t.Context(), reqs)
	require.NoError(t, err)
	few, err := newEngine(t, params, bestSet(t), decode.Options{MaxLive: 3}).Generate(t.Context(), reqs)
	require.NoError(t, err)
	engine := newEngine(t, params, bestSet(t), decode.Options{})
	for i, req := range reqs {
		alone, err := engine.Generate(t.Context(), []decode.Request{req})
		require.NoError(t, err)
		requireSame(t, i, together[i], alone[0])
		requireSame(t, i, together[i], few[i])
	}
}

func requireSame(t *testing.T, i int, want, got decode.Result) {
	t.Helper()
	require.Equal(t, want.Tokens, got.Tokens, "request %d", i)
	require.Equal(t, want.Finish, got.Finish, "request %d", i)
	require.Equal(t, want.Stopped, got.Stopped, "request %d", i)
	requireNear(t, float64(want.Bootstrap), got.Bootstrap, tolerance, "bootstrap", i)
	for at := range want.Tokens {
		requireNear(t, float64(want.Logp[at]), got.Logp[at], tolerance, "logp", i, at)
		requireNear(t, float64(want.Values[at]), got.Values[at], tolerance, "value", i, at)
	}
}

func TestGenerateBitsDoNotDependOnProcessors(t *testing.T) { //nolint:paralleltest // sets the number of processors
	set := bestSet(t)
	requireRowsAlike(t, set)
	params := randomParams(t, small())
	reqs := mixedRequests(t, 200)
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var want []decode.Result
	for _, processors := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(processors)
		for _, maxLive := range []int{3, 512} {
			got, err := newEngine(t, params, set, decode.Options{MaxLive: maxLive}).Generate(t.Context(), reqs)
			require.NoError(t, err)
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, "%d processors, %d live", processors, maxLive)
		}
	}
}

func TestGenerateTwiceWithOneEngine(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{MaxLive: 8})
	reqs := mixedRequests(t, 20)
	first, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	second, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestEngineCopiesTheWeights(t *testing.T) {
	t.Parallel()
	params := randomParams(t, small())
	engine := newEngine(t, params, bestSet(t), decode.Options{})
	reqs := mixedRequests(t, 3)
	want, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	clear(params.Tensor("model.embed_tokens.weight"))
	got, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGenerateFinishes(t *testing.T) { //nolint:tparallel // the cases share one engine
	t.Parallel()
	config := small()
	params := randomParams(t, config)
	engine := newEngine(t, params, bestSet(t), decode.Options{})
	prompt := encode(t, "Use 4 5 6 10 to make 24.\n")
	full := append(append([]hone.TokenID(nil), prompt...), make([]hone.TokenID, config.Context-len(prompt))...)

	t.Run("at the end of sequence", func(t *testing.T) {
		reqs := make([]decode.Request, 200)
		for i := range reqs {
			reqs[i] = decode.Request{Prompt: prompt, Seed: uint64(i), MaxTokens: 50, Sampling: decode.Sampling{Temperature: 2}}
		}
		results, err := engine.Generate(t.Context(), reqs)
		require.NoError(t, err)
		eos, ended := token.Arithmetic().EOS(), 0
		for i, r := range results {
			require.NotContains(t, r.Tokens[:len(r.Tokens)-1], eos)
			last := r.Tokens[len(r.Tokens)-1] == eos
			require.Equal(t, last, r.Finish == hone.FinishStop)
			if last {
				ended++
				requireTwin(t, twin{config, params, false}, i, reqs[i], r)
			} else {
				require.Len(t, r.Tokens, 50)
			}
		}
		require.Greater(t, ended, 10)
	})
	t.Run("at the context", func(t *testing.T) {
		req := decode.Request{Prompt: full[:config.Context-3], MaxTokens: 50}
		results, err := engine.Generate(t.Context(), []decode.Request{req})
		require.NoError(t, err)
		require.Len(t, results[0].Tokens, 3)
		requireTwin(t, twin{config, params, false}, 0, req, results[0])
	})
	t.Run("before the first token", func(t *testing.T) {
		for _, req := range []decode.Request{{Prompt: full, MaxTokens: 50}, {Prompt: prompt}, {Prompt: prompt[:1]}} {
			results, err := engine.Generate(t.Context(), []decode.Request{req})
			require.NoError(t, err)
			require.Empty(t, results[0].Tokens)
			requireTwin(t, twin{config, params, false}, 0, req, results[0])
		}
	})
	t.Run("with no requests", func(t *testing.T) {
		results, err := engine.Generate(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, results)
	})
}

func TestGenerateStopsAtStopStrings(t *testing.T) {
	t.Parallel()
	config := small()
	params := randomParams(t, config)
	engine := newEngine(t, params, bestSet(t), decode.Options{})
	tok := token.Arithmetic()
	prompt := encode(t, "Use 4 5 6 10 to make 24.\n")
	reqs := make([]decode.Request, 100)
	for i := range reqs {
		reqs[i] = decode.Request{
			Prompt: prompt, Seed: uint64(i), MaxTokens: 60, Sampling: decode.Sampling{Temperature: 1.5}, Stop: []string{"\n", "1 ", "99"},
		}
	}
	results, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	stopped := 0
	for i, r := range results {
		has := func(text string) bool {
			return strings.Contains(text, "\n") || strings.Contains(text, "1 ") || strings.Contains(text, "99")
		}
		require.Equal(t, has(tok.Decode(r.Tokens)), r.Stopped)
		require.False(t, has(tok.Decode(r.Tokens[:len(r.Tokens)-1])), "generation went on after a stop string")
		requireTwin(t, twin{config, params, false}, i, reqs[i], r)
		if r.Stopped {
			stopped++
			require.Equal(t, hone.FinishLength, r.Finish)
		}
	}
	require.Greater(t, stopped, 50)
}

func TestGenerateRefusesBadRequests(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{})
	good := decode.Request{Prompt: []hone.TokenID{1, 2}, MaxTokens: 1}
	tests := []struct {
		name string
		bad  func(r *decode.Request)
		want string
	}{
		{"empty prompt", func(r *decode.Request) { r.Prompt = nil }, "empty prompt"},
		{"long prompt", func(r *decode.Request) { r.Prompt = make([]hone.TokenID, 81) }, "prompt of 81 tokens: the context is 80"},
		{"token too large", func(r *decode.Request) { r.Prompt = []hone.TokenID{1, 280} }, "prompt token 1 is 280: want [0, 280)"},
		{"token negative", func(r *decode.Request) { r.Prompt = []hone.TokenID{-1} }, "prompt token 0 is -1"},
		{"max tokens", func(r *decode.Request) { r.MaxTokens = -1 }, "max tokens -1"},
		{"temperature negative", func(r *decode.Request) { r.Sampling.Temperature = -1 }, "temperature -1"},
		{"temperature NaN", func(r *decode.Request) { r.Sampling.Temperature = math.NaN() }, "temperature NaN"},
		{"temperature tiny", func(r *decode.Request) { r.Sampling.Temperature = 1e-60 }, "temperature 1e-60"},
		{"top-k", func(r *decode.Request) { r.Sampling.TopK = -2 }, "top_k -2"},
		{"top-p", func(r *decode.Request) { r.Sampling.TopP = 1.5 }, "top_p 1.5"},
		{"top-p NaN", func(r *decode.Request) { r.Sampling.TopP = math.NaN() }, "top_p NaN"},
		{"stop string", func(r *decode.Request) { r.Stop = []string{"a", ""} }, "stop string 1 is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bad := good
			test.bad(&bad)
			results, err := engine.Generate(t.Context(), []decode.Request{good, bad})
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, "request 1: ")
			require.ErrorContains(t, err, test.want)
			require.Nil(t, results)
		})
	}
}

func TestNewRefusesBadInput(t *testing.T) {
	t.Parallel()
	params := randomParams(t, small())
	_, err := decode.New(params, token.Arithmetic(), bestSet(t), decode.Options{MaxLive: -1})
	require.ErrorIs(t, err, hone.ErrInvalid)
	config := small()
	config.Vocab = 300
	params, err = policy.Init(config, 1)
	require.NoError(t, err)
	_, err = decode.New(params, token.Arithmetic(), bestSet(t), decode.Options{})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "280 tokens, the policy 300")
}

func TestGenerateReportsNonFiniteLogits(t *testing.T) {
	t.Parallel()
	params := randomParams(t, small())
	params.Tensor("model.embed_tokens.weight")[9*small().Width] = float32(math.NaN())
	engine := newEngine(t, params, bestSet(t), decode.Options{})
	_, err := engine.Generate(t.Context(), []decode.Request{{Prompt: []hone.TokenID{1}}, {Prompt: []hone.TokenID{1}, MaxTokens: 3}})
	require.ErrorIs(t, err, hone.ErrNonFinite)
	require.ErrorContains(t, err, "request 1: logits of token 0")
	_, err = engine.Score(t.Context(), []decode.Sequence{{Prompt: []hone.TokenID{1}, Tokens: []hone.TokenID{2, 9}}})
	require.ErrorIs(t, err, hone.ErrNonFinite)
	require.ErrorContains(t, err, "sequence 0: logits of token 0")
}

// impatient is a context that is cancelled once it has been asked a number of times.
type impatient struct {
	context.Context
	asks int
}

func (c *impatient) Err() error {
	c.asks--
	if c.asks < 0 {
		return context.Canceled
	}
	return nil
}

func TestGenerateIsCancelledBetweenSteps(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{})
	reqs := []decode.Request{{Prompt: []hone.TokenID{1, 2, 3}, MaxTokens: 30}, {Prompt: []hone.TokenID{4}, MaxTokens: 30}}
	want, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	for _, asks := range []int{0, 1, 2, 10} {
		results, err := engine.Generate(&impatient{t.Context(), asks}, reqs)
		require.ErrorIs(t, err, context.Canceled)
		require.Nil(t, results)
	}
	_, err = engine.Score(&impatient{t.Context(), 0}, []decode.Sequence{{Prompt: []hone.TokenID{1}}})
	require.ErrorIs(t, err, context.Canceled)
	got, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	require.Equal(t, want, got, "an engine that was cancelled works on")
}

// narrow has so small a vocabulary that the portable products, which allocate where they split, don't.
type narrow struct{ token.Tokenizer }

func (narrow) Vocab() int { return 192 }
