package expression_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/expression"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

func TestExpression(t *testing.T) {
	t.Parallel()
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	layer, err := expression.New("f", expression.Config{Formula: "min(steps, 10) / 10"})
	require.NoError(t, err)
	rewardtest.Run(t, layer, tk, p, "10 - 4 = 6 (left: 5 6 6)\n")

	traj := rewardtest.Trajectory(tk, p, "1\n2\n3\n")
	before := hone.Breakdown{Outcome: hone.OutcomeRight, Steps: 3, Layers: []hone.LayerScore{
		{Layer: "step", Weight: 0.1, Terms: []hone.Term{{Step: 1, Score: -0.5}}},
	}}
	for formula, want := range map[string]float64{
		`right ? 1 : 0`:                1,
		`outcome == "wrong" ? 1 : 0`:   0,
		`layer["step"]`:                -0.05,
		`score["step"] * 2`:            -1,
		`steps`:                        3,
		`characters`:                   6,
		`cut ? 1 : iteration`:          1, // the fixture's iteration
		`layer["nobody"]`:              0,
		`max(0, 1 - float(steps) / 4)`: 0.25,
	} {
		layer, err := expression.New("f", expression.Config{Formula: formula})
		require.NoError(t, err, formula)
		j, err := layer.Follow(t.Context(), p, traj, before)
		require.NoError(t, err, formula)
		require.Equal(t, []hone.Term{{Step: 2, Score: j.Terms[0].Score, Reason: formula}}, j.Terms)
		require.InDelta(t, want, j.Terms[0].Score, 1e-12, formula)
	}
	for _, formula := range []string{"", "nobody", `"text"`, "now()", "keys(layer)", "1 +"} {
		_, err := expression.New("f", expression.Config{Formula: formula})
		require.ErrorIs(t, err, hone.ErrInvalid, formula)
	}
	layer, err = expression.New("f", expression.Config{Formula: "1 / (steps - 3)"})
	require.NoError(t, err)
	_, err = layer.Follow(t.Context(), p, traj, before)
	require.ErrorIs(t, err, hone.ErrNonFinite)
}
