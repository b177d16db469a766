package efficiency_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/efficiency"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/countdown"
	"github.com/hone-rl/hone/task/game24"
)

const (
	solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	wrong    = "Answer: 4 + 5 + 6 + 10 = 25\n"
	circle   = "4 + 5 = 9 (left: 6 9 10)\nback (left: 4 5 6 10)\n"
)

type fixture struct {
	layer *efficiency.Layer
	task  task.Task
	p     hone.Problem
}

func setup(t *testing.T) fixture {
	tk, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	layer, err := efficiency.New(efficiency.DefaultConfig(), tk)
	require.NoError(t, err)
	return fixture{layer: layer, task: tk, p: p}
}

// scores are the layer's scores by step.
func (f fixture) scores(t *testing.T, traj hone.Trajectory) map[int]float64 {
	t.Helper()
	j, err := f.layer.Judge(t.Context(), f.p, traj)
	require.NoError(t, err)
	out := make(map[int]float64)
	for _, term := range j.Terms {
		out[term.Step] = term.Score
	}
	return out
}

func TestConformance(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rewardtest.Run(t, f.layer, f.task, f.p, solution, strings.Repeat(circle, 3)+solution, wrong)
}

func TestChargesWhatWasNotNeeded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const unit = -1.0 / 32 // a span of 8 times the 4 steps needed
	for name, c := range map[string]struct {
		text string
		want map[int]float64
	}{
		"shortest":               {solution, map[int]float64{}},
		"wrong answers are free": {strings.Repeat(circle, 9) + wrong, map[int]float64{}},
		"branch given up":        {circle + solution, map[int]float64{0: unit, 1: unit}},
		"bad step":               {"hm\n" + solution, map[int]float64{0: unit}},
		"after the answer":       {solution + "hm\n", map[int]float64{4: unit}},
		"skipping is not length": {"Answer: (5 * (10 - 4)) - 6 = 24\n", map[int]float64{}},
		"back to half-way": {
			"10 - 4 = 6 (left: 5 6 6)\n5 + 6 = 11 (left: 6 11)\nback (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\n" +
				"Answer: (5 * (10 - 4)) - 6 = 24\n",
			map[int]float64{1: unit, 2: unit},
		},
		"back to a branch given up before": {
			"10 - 4 = 6 (left: 5 6 6)\nback (left: 4 5 6 10)\n4 + 5 = 9 (left: 6 9 10)\nback (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n" +
				"30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n",
			map[int]float64{1: unit, 2: unit, 3: unit},
		},
	} {
		require.Equal(t, c.want, f.scores(t, rewardtest.Trajectory(f.task, f.p, c.text)), name)
	}
}

func TestTokensBeyondTheAllowance(t *testing.T) {
	t.Parallel()
	f := setup(t)
	traj := rewardtest.Trajectory(f.task, f.p, solution)
	for i := 1; i < len(traj.Steps); i++ {
		traj.Steps[i].From += 64
		traj.Steps[i].To += 64
	}
	traj.Steps[0].To += 64
	length := traj.Steps[0].To - traj.Steps[0].From
	require.InDeltaMapValues(t, map[int]float64{0: -float64(length-32) / 32 / 32}, f.scores(t, traj), 1e-12)
}

func TestTotalIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	sum := 0.0
	for _, s := range f.scores(t, rewardtest.Trajectory(f.task, f.p, strings.Repeat(circle, 500)+solution)) {
		sum += s
	}
	require.InDelta(t, -1, sum, 1e-9)
}

func TestBranchLongerThanNeed(t *testing.T) {
	t.Parallel()
	tk, err := countdown.New(countdown.DefaultConfig())
	require.NoError(t, err)
	p, err := tk.Problem("1 25 50 = 75")
	require.NoError(t, err)
	layer, err := efficiency.New(efficiency.DefaultConfig(), tk)
	require.NoError(t, err)
	f := fixture{layer: layer, task: tk, p: p}
	text := "1 * 25 = 25 (left: 25 50)\n25 + 50 = 75 (left: 75)\nAnswer: (1 * 25) + 50 = 75\n"
	require.Equal(t, map[int]float64{2: -1.0 / 16}, f.scores(t, rewardtest.Trajectory(tk, p, text)))
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := efficiency.New(efficiency.Config{Span: math.NaN()}, nil)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "span NaN")
	require.ErrorContains(t, err, "tokens_per_step 0")
}
