package correctness_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/correctness"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task/game24"
)

const solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"

func setup(t *testing.T) (*correctness.Layer, *game24.Task, hone.Problem) {
	tk, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	return correctness.New(tk), tk, p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	layer, tk, p := setup(t)
	rewardtest.Run(t, layer, tk, p, solution)
}

func TestScoreLandsOnTheAnswer(t *testing.T) {
	t.Parallel()
	layer, tk, p := setup(t)
	for name, c := range map[string]struct {
		text    string
		step    int
		score   float64
		outcome hone.Outcome
	}{
		"right":              {solution, 3, 1, hone.OutcomeRight},
		"right, then more":   {solution + "Answer: 1 = 1\n", 3, 1, hone.OutcomeRight},
		"wrong":              {"10 - 4 = 6 (left: 5 6 6)\nAnswer: 4 + 5 = 9\n", 1, 0, hone.OutcomeWrong},
		"wrong, then right":  {"Answer: 4 = 4\n" + solution, 0, 0, hone.OutcomeWrong},
		"no answer":          {"10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n", 1, 0, hone.OutcomeWrong},
		"nothing":            {"", 0, 0, hone.OutcomeWrong},
		"claims to be right": {"Answer: 24 = 24\n", 0, 0, hone.OutcomeWrong},
	} {
		j, err := layer.Judge(t.Context(), p, rewardtest.Trajectory(tk, p, c.text))
		require.NoError(t, err, name)
		require.Equal(t, c.outcome, j.Outcome, name)
		require.Len(t, j.Terms, 1, name)
		require.Equal(t, c.step, j.Terms[0].Step, name)
		require.InDelta(t, c.score, j.Terms[0].Score, 0, name)
	}
}
