package risk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/risk"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

func TestRisk(t *testing.T) {
	t.Parallel()
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	hook := func(_ hone.Problem, step string) (float64, string) {
		if step == "dose: 500 mg" {
			return 0.3, "a dose needs a source"
		}
		return 0, ""
	}
	layer, err := risk.New(risk.Config{Rules: []risk.Rule{
		{Name: "key", Pattern: `sk-[a-z0-9]{4,}`, Penalty: 0.4},
		{Name: "word", Words: []string{"damn", "c++"}, Penalty: 0.25},
	}}, hook)
	require.NoError(t, err)
	rewardtest.Run(t, layer, tk, p, "damn\n10 - 4 = 6 (left: 5 6 6)\n")
	for text, want := range map[string]float64{
		"nothing":                   0,
		"Damn!":                     -0.25,
		"damnation":                 0,
		"use C++ here":              -0.25,
		"the key is sk-abcd1, damn": -0.65,
		"dose: 500 mg":              -0.3,
		strings.Repeat("damn\n", 5): -1,
	} {
		j, err := layer.Judge(t.Context(), p, rewardtest.Trajectory(tk, p, text))
		require.NoError(t, err)
		require.InDelta(t, want, hone.LayerScore{Weight: 1, Terms: j.Terms}.Total(), 1e-12, text)
	}
	_, err = risk.New(risk.Config{Rules: []risk.Rule{{}}})
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{"has no name", "has neither pattern nor words", "penalty 0"} {
		require.ErrorContains(t, err, want)
	}
}
