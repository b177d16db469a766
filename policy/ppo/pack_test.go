package ppo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// sampleOf is a sample of the tokens with recognisable numbers: 10, 11, … in logpOld, and so on.
func sampleOf(prompt, tokens []hone.TokenID) *sample {
	s := &sample{trajectory: &hone.Trajectory{Prompt: prompt, Tokens: tokens}}
	for i := range tokens {
		s.logpOld = append(s.logpOld, 10+float64(i))
		s.logpSampler = append(s.logpSampler, 10+float64(i))
		s.logpRef = append(s.logpRef, 20+float64(i))
		s.advantages = append(s.advantages, 30+float64(i))
		s.returns = append(s.returns, 40+float64(i))
		s.valuesOld = append(s.valuesOld, 50+float64(i))
	}
	return s
}

// The row before a token scores it, the end-of-sequence token takes part, and nothing after it does.
func TestChecklist01And04RowsScoreTheNextToken(t *testing.T) {
	t.Parallel()
	const eos = 9
	got, firsts := pack([]*sample{
		sampleOf([]hone.TokenID{5, 6}, []hone.TokenID{7, eos}),
		sampleOf([]hone.TokenID{4}, []hone.TokenID{eos}),
	})
	require.Equal(t, []int{1, 4}, firsts)
	require.Equal(t, []int32{5, 6, 7, eos, 4, eos}, got.batch.Tokens)
	require.Equal(t, []int32{policy.NoTarget, 7, eos, policy.NoTarget, eos, policy.NoTarget}, got.batch.Targets)
	require.Equal(t, []int32{0, 1, 2, 3, 0, 1}, got.batch.Positions)
	require.Equal(t, []int32{0, 4, 6}, got.batch.Starts)
	require.Equal(t, []Kind{KindNone, KindSample, KindSample, KindNone, KindSample, KindNone}, got.rows.Kind)
	require.Equal(t, []float64{0, 10, 11, 0, 10, 0}, got.rows.LogpOld)
	require.Equal(t, []float64{0, 20, 21, 0, 20, 0}, got.rows.LogpRef)
	require.Equal(t, []float64{0, 30, 31, 0, 30, 0}, got.rows.Advantages)
	require.Equal(t, []float64{0, 40, 41, 0, 40, 0}, got.rows.Returns)
	require.Equal(t, []float64{0, 50, 51, 0, 50, 0}, got.rows.ValuesOld)
	require.Equal(t, []int{0, 0, 0, 0, 1, 1}, got.rows.Sequence)
	require.Nil(t, got.rows.Weight)
	require.Nil(t, got.rows.Importance)
}

func TestChecklist03MaskComesFromLengths(t *testing.T) {
	t.Parallel()
	got, _ := pack([]*sample{sampleOf([]hone.TokenID{0, 0}, []hone.TokenID{0, 0, 0})})
	require.Equal(t, []Kind{KindNone, KindSample, KindSample, KindSample, KindNone}, got.rows.Kind)
}

func TestSplitKeepsOrderAndLimit(t *testing.T) {
	t.Parallel()
	var samples []*sample
	for _, n := range []int{3, 4, 2, 8, 1, 1} {
		samples = append(samples, sampleOf(make([]hone.TokenID, 1), make([]hone.TokenID, n)))
	}
	runs := split(samples, 9)
	var sizes [][]int
	var again []*sample
	for _, run := range runs {
		var size []int
		for _, s := range run {
			size = append(size, s.rows())
		}
		sizes = append(sizes, size)
		again = append(again, run...)
	}
	require.Equal(t, [][]int{{4, 5}, {3}, {9}, {2, 2}}, sizes)
	require.Equal(t, samples, again)
	require.Empty(t, split(nil, 9))
}

func TestChecklist30FreshPermutationDealsEverySampleOnce(t *testing.T) {
	t.Parallel()
	samples := make([]*sample, 11)
	for i := range samples {
		samples[i] = &sample{}
	}
	order := hone.Rand(hone.Seed(1, "ppo", "epoch", 0)).Perm(len(samples))
	var dealt []*sample
	for k := range 4 {
		hand := deal(samples, order, k, 4)
		require.Contains(t, []int{2, 3}, len(hand))
		dealt = append(dealt, hand...)
	}
	require.Len(t, dealt, len(samples))
	for i, s := range dealt {
		require.Same(t, samples[order[i]], s)
	}
	require.NotEqual(t, order, hone.Rand(hone.Seed(1, "ppo", "epoch", 1)).Perm(len(samples)))
	require.Equal(t, order, hone.Rand(hone.Seed(1, "ppo", "epoch", 0)).Perm(len(samples)))
}
