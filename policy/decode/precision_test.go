package decode_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// A policy in bfloat16 is the float64 twin with the same numbers rounded, not the twin itself. A number that lies between two bfloat16 may
// be rounded the other way, so single log-probabilities differ by more than float32's rounding.
func TestBFloat16AgreesWithTheTwinThatRounds(t *testing.T) {
	t.Parallel()
	experts := small()
	experts.MoE = policy.MoE{Experts: 5, Shared: 1}
	for name, c := range map[string]struct {
		set    *kernel.Set
		config policy.Config
	}{
		"best":     {bestSet(t), small()},
		"portable": {kernel.Portable(), small()},
		"experts":  {bestSet(t), experts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			params, reqs := randomParams(t, c.config), mixedRequests(t, 12)
			for i := range reqs {
				reqs[i].Sampling = decode.Sampling{Temperature: 1}
			}
			results, err := newEngine(t, params, c.set, decode.Options{Precision: decode.BF16}).Generate(t.Context(), reqs)
			require.NoError(t, err)
			rounded, exact, tokens := 0.0, 0.0, 0
			for i, r := range results {
				all := append(append([]hone.TokenID(nil), reqs[i].Prompt...), r.Tokens...)
				near, _ := twin{c.config, params, true}.forward(all)
				far, _ := twin{c.config, params, false}.forward(all)
				for at, id := range r.Tokens {
					state := len(reqs[i].Prompt) + at - 1
					rounded += math.Abs(logSoftmax(near[state], 1)[id] - float64(r.Logp[at]))
					exact += math.Abs(logSoftmax(far[state], 1)[id] - float64(r.Logp[at]))
					tokens++
				}
			}
			rounded, exact = rounded/float64(tokens), exact/float64(tokens)
			t.Logf("mean deviation of %d tokens: %.2g from the twin that rounds, %.2g from the one that doesn't", tokens, rounded, exact)
			require.Less(t, rounded, exact/4)
			require.Less(t, exact, 0.05)
			require.Greater(t, exact, 1e-4)
		})
	}
}

// But for what is float32 with each precision, which can turn a rounding.
func TestBFloat16IsTheSameOnAllKernels(t *testing.T) {
	t.Parallel()
	params, reqs := randomParams(t, small()), mixedRequests(t, 10)
	want, err := newEngine(t, params, kernel.Portable(), decode.Options{Precision: decode.BF16}).Generate(t.Context(), reqs)
	require.NoError(t, err)
	seqs := make([]decode.Sequence, len(want))
	for i, r := range want {
		seqs[i] = decode.Sequence{Prompt: reqs[i].Prompt, Tokens: r.Tokens, Temperature: reqs[i].Sampling.Temperature}
	}
	got, err := newEngine(t, params, bestSet(t), decode.Options{Precision: decode.BF16}).Score(t.Context(), seqs)
	require.NoError(t, err)
	for i := range want {
		for at, logp := range want[i].Logp {
			require.InDelta(t, logp, got[i].Logp[at], 0.01, "request %d, token %d", i, at)
		}
	}
}

func TestPrecisionsAreKnownByName(t *testing.T) {
	t.Parallel()
	_, err := decode.New(randomParams(t, small()), token.Arithmetic(), kernel.Portable(), decode.Options{Precision: "fp8"})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, `precision "fp8": want float32 or bf16`)
	require.NoError(t, decode.Float32.Validate())
	require.Equal(t, "kernels", decode.Float32.Fingerprint("kernels"))
	require.Equal(t, "kernels sampler=bf16", decode.BF16.Fingerprint("kernels"))
}
