package decode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
)

func TestScoreAgreesWithGenerate(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{MaxLive: 16})
	reqs := mixedRequests(t, 40)
	results, err := engine.Generate(t.Context(), reqs)
	require.NoError(t, err)
	seqs := make([]decode.Sequence, len(reqs))
	for i, r := range results {
		seqs[i] = decode.Sequence{Prompt: reqs[i].Prompt, Tokens: r.Tokens, Temperature: reqs[i].Sampling.Temperature}
	}
	scores, err := engine.Score(t.Context(), seqs)
	require.NoError(t, err)
	for i, got := range scores {
		require.Len(t, got.Logp, len(results[i].Tokens))
		for at := range got.Logp {
			requireNear(t, float64(results[i].Logp[at]), got.Logp[at], tolerance, "logp", i, at)
			requireNear(t, float64(results[i].Values[at]), got.Values[at], tolerance, "value", i, at)
		}
		if results[i].Finish == hone.FinishLength {
			requireNear(t, float64(results[i].Bootstrap), got.Bootstrap, tolerance, "bootstrap", i)
		}
	}
}

func TestScoreRefusesBadSequences(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, randomParams(t, small()), bestSet(t), decode.Options{})
	good := decode.Sequence{Prompt: []hone.TokenID{1}}
	tests := []struct {
		name string
		bad  decode.Sequence
		want string
	}{
		{"empty prompt", decode.Sequence{Tokens: []hone.TokenID{1}}, "empty prompt"},
		{
			"too long",
			decode.Sequence{Prompt: make([]hone.TokenID, 40), Tokens: make([]hone.TokenID, 41)},
			"prompt of 40 and 41 tokens: the context is 80",
		},
		{"token", decode.Sequence{Prompt: []hone.TokenID{1}, Tokens: []hone.TokenID{5, 999}}, "token 1 is 999"},
		{"temperature", decode.Sequence{Prompt: []hone.TokenID{1}, Temperature: -3}, "temperature -3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := engine.Score(t.Context(), []decode.Sequence{good, test.bad})
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, "sequence 1: ")
			require.ErrorContains(t, err, test.want)
		})
	}
}
