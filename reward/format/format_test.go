package format_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/format"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

const (
	solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	lie      = "10 - 4 = 7 (left: 1 2 3)\nAnswer: 4 + 5 + 6 + 10 = 24\n"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	layer := format.New(tk)
	rewardtest.Run(t, layer, tk, p, solution, lie)
	for text, want := range map[string]float64{
		solution:                         0,
		lie:                              0, // the format says nothing of truth
		"hm\n" + solution:                -0.125,
		strings.Repeat("hm\n", 50):       -1,
		"10 - 4 = 6 (left: 5 6 6)\n":     -0.5,
		strings.Repeat("hm\n", 50) + lie: -0.5,
	} {
		j, err := layer.Judge(t.Context(), p, rewardtest.Trajectory(tk, p, text))
		require.NoError(t, err)
		require.InDelta(t, want, hone.LayerScore{Weight: 1, Terms: j.Terms}.Total(), 1e-12, text)
	}
}
