package replay_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
)

func TestCompareNamesTheFirstDifference(t *testing.T) {
	t.Parallel()
	stored := hone.Trajectory{
		Prompt: []hone.TokenID{1}, Tokens: []hone.TokenID{5, 6, 7}, Logp: []float32{-1, -2, -3}, Values: []float32{0, 0, 1},
		Finish: hone.FinishStop, Text: "a", Fingerprint: "avx2",
	}
	_, same := replay.Compare(stored, stored, "avx2")
	require.True(t, same)
	for want, change := range map[string]func(*hone.Trajectory){
		"tokens differs at token 1: stored 6, again 9":       func(t *hone.Trajectory) { t.Tokens = []hone.TokenID{5, 9, 8} },
		"tokens differs at token 2: stored 7, again the end": func(t *hone.Trajectory) { t.Tokens = t.Tokens[:2] },
		"logp differs at token 2: stored -3, again -3.0000002": func(t *hone.Trajectory) {
			t.Logp = slices.Clone(t.Logp)
			t.Logp[2] = -3.0000002
		},
		"values differs at token 0": func(t *hone.Trajectory) { t.Values = []float32{1, 0, 1} },
		"bootstrap differs":         func(t *hone.Trajectory) { t.Bootstrap = 1 },
		"finish differs":            func(t *hone.Trajectory) { t.Finish = hone.FinishLength },
		"text differs":              func(t *hone.Trajectory) { t.Text = "b" },
	} {
		again := stored
		change(&again)
		d, same := replay.Compare(stored, again, "avx2")
		require.False(t, same, want)
		require.Contains(t, d.String(), want)
		require.Contains(t, d.Why, "the program or the weights")
	}
	again := stored
	again.Tokens = []hone.TokenID{9}
	d, _ := replay.Compare(stored, again, "avx512")
	require.Equal(t, "it was generated on kernels avx2, and again on avx512", d.Why)
}
