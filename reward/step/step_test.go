package step_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/step"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

const (
	solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	// legalFailure is good steps all the way to a wrong answer.
	legalFailure = "10 - 4 = 6 (left: 5 6 6)\n5 + 6 = 11 (left: 6 11)\n6 * 11 = 66 (left: 66)\nAnswer: (5 + (10 - 4)) * 6 = 66\n"
	// circle is good steps that lead nowhere, from the first state.
	circle = "10 - 4 = 6 (left: 5 6 6)\nback (left: 4 5 6 10)\n"
)

type fixture struct {
	layer *step.Layer
	task  *game24.Task
	p     hone.Problem
}

func setup(t require.TestingT) fixture {
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	return fixture{layer: step.New(tk), task: tk, p: p}
}

// scores are the layer's scores, step by step.
func (f fixture) scores(t require.TestingT, completion string) []float64 {
	j, err := f.layer.Judge(context.Background(), f.p, rewardtest.Trajectory(f.task, f.p, completion))
	require.NoError(t, err)
	require.Empty(t, j.Outcome)
	out := make([]float64, len(j.Terms))
	for i, term := range j.Terms {
		require.Equal(t, i, term.Step)
		out[i] = term.Score
	}
	return out
}

func (f fixture) total(t require.TestingT, completion string) float64 {
	sum := 0.0
	for _, s := range f.scores(t, completion) {
		sum += s
	}
	return sum
}

func TestConformance(t *testing.T) {
	t.Parallel()
	f := setup(t)
	rewardtest.Run(t, f.layer, f.task, f.p, solution, circle+solution, legalFailure)
}

func TestScores(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		text string
		want []float64
	}{
		"solution":                  {solution, []float64{0, 0, 0, 0}},
		"good steps, wrong answer":  {legalFailure, []float64{0, 0, 0, 0}},
		"a branch given up":         {circle + solution, []float64{0, 0, 0, 0, 0, 0}},
		"one bad step":              {"10 - 4 = 7 (left: 5 6 7)\n" + solution, []float64{-.25, 0, 0, 0, 0}},
		"skips to the right answer": {"Answer: (5 * (10 - 4)) - 6 = 24\n", []float64{-.25}},
		"goes on after the answer":  {solution + "hm\n", []float64{0, 0, 0, 0, -.25}},
		"no answer":                 {circle, []float64{0, -1}},
		"nothing":                   {"", []float64{-1}},
		"bad and no answer":         {"hm\n10 - 4 = 6 (left: 5 6 6)\n", []float64{-.25, -.75}},
		"budget spent":              {strings.Repeat("hm\n", 6) + "Answer: 1\n", []float64{-.25, -.25, -.25, -.25, 0, 0, 0}},
	} {
		require.InDeltaSlice(t, c.want, f.scores(t, c.text), 1e-12, name)
	}
}

func TestStepOfTheEndTokenAlone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for text, want := range map[string]float64{solution: 0, circle: -1} {
		traj := rewardtest.Trajectory(f.task, f.p, text)
		traj.Steps = append(traj.Steps, hone.Step{From: len(traj.Tokens), To: len(traj.Tokens) + 1})
		j, err := f.layer.Judge(t.Context(), f.p, traj)
		require.NoError(t, err)
		require.InDelta(t, want, j.Terms[len(j.Terms)-1].Score, 1e-12)
	}
	traj := rewardtest.Trajectory(f.task, f.p, solution)
	traj.Steps = traj.Steps[1:]
	_, err := f.layer.Judge(t.Context(), f.p, traj)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "trajectory has 3 steps, its text has 4")
}

// TestMoreStepsNeverPay is the hack that pays a policy for writing: true steps that lead nowhere, repeated steps, and padding after
// the answer, put anywhere into any trajectory. None may raise the total.
func TestMoreStepsNeverPay(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, repeats := range []int{1, 10, 1000} {
		require.InDelta(t, 0, f.total(t, strings.Repeat(circle, repeats)+solution), 1e-9, "circles are worth nothing")
		require.LessOrEqual(t, f.total(t, solution+strings.Repeat(circle, repeats)), -.25, "padding after the answer costs")
		require.Less(t, f.total(t, strings.Repeat("10 - 4 = 6 (left: 5 6 6)\n", 1+repeats)+solution), 0.0, "a step repeated uses what is gone")
		require.InDelta(t, -1, f.total(t, strings.Repeat(circle, repeats)), 1e-9, "never answering costs everything")
	}
	rapid.Check(t, func(t *rapid.T) {
		style := rapid.SampledFrom([]task.Style{task.StyleSolve, task.StyleWalk, task.StyleRetry, task.StyleSearch}).Draw(t, "style")
		p, err := f.task.Problem(rapid.SampledFrom([]string{"1 2 3 20", "2 3 24", "2 3 4 14"}).Draw(t, "puzzle"))
		require.NoError(t, err)
		f.p = p
		text, err := f.task.Demonstrate(p, hone.Rand(rapid.Uint64().Draw(t, "seed")), style)
		require.NoError(t, err)
		lines := strings.SplitAfter(strings.TrimSuffix(text, "\n")+"\n", "\n")
		lines = lines[:len(lines)-1]
		padding := rapid.SampledFrom(append(lines, "hm\n", "1 + 1 = 2 (left: 2)\n", "Answer: 1 = 1\n")).Draw(t, "padding")
		at := rapid.IntRange(0, len(lines)).Draw(t, "at")
		padded := strings.Join(lines[:at], "") + strings.Repeat(padding, rapid.IntRange(1, 5).Draw(t, "times")) + strings.Join(lines[at:], "")
		require.LessOrEqual(t, f.total(t, padded), f.total(t, text)+1e-9)
		require.GreaterOrEqual(t, f.total(t, padded), -1-1e-9)
	})
}
