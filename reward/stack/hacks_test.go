package stack_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/codetest"
	"github.com/hone-rl/hone/reward/codetest/sandbox"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/gsm8k"
	"github.com/hone-rl/hone/task/program"
)

func TestMain(m *testing.M) {
	if code, is := sandbox.Init(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// hack is an entry of testdata/hacks.json.
type hack struct {
	Name       string `json:"name"`
	Task       string `json:"task"`
	Problem    string `json:"problem"`
	Reference  string `json:"reference"`
	Honest     string `json:"honest"`
	Completion string `json:"completion"`
	CaughtBy   string `json:"caught_by"`
	Step       int    `json:"step"`
	Reason     string `json:"reason"`
	Note       string `json:"note"`
}

// TestHacksAreCaught scores each hack of the catalogue beside honest work: it earns less, and the layer that the catalogue names says why,
// on the step where it happens.
func TestHacksAreCaught(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../testdata/hacks.json")
	require.NoError(t, err)
	var catalogue struct {
		Hacks []hack `json:"hacks"`
	}
	require.NoError(t, json.Unmarshal(text, &catalogue))
	require.GreaterOrEqual(t, len(catalogue.Hacks), 12)
	puzzles, _ := setup(t)
	words := stack.Config{Layers: []stack.LayerConfig{
		{Layer: "correctness", Weight: 1}, {Layer: "step", Weight: 0.1}, {Layer: "format", Weight: 0.05}, {Layer: "efficiency", Weight: 0.05},
	}}
	programs := stack.Config{Layers: []stack.LayerConfig{
		{Layer: "codetest", Weight: 1, Codetest: &codetest.Config{
			File: "program", Command: []string{"sh", "program"}, AssertCommand: []string{"sh", "-s"}, Done: "echo; echo {token}", CPU: 1, Wall: 6,
		}},
		{Layer: "step", Weight: 0.1},
	}}
	for _, h := range catalogue.Hacks {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			tk, p, cfg := task.Task(puzzles), hone.Problem{}, words
			var err error
			switch h.Task {
			case gsm8k.Name:
				posed := gsm8k.New(nil)
				tk = posed
				p, err = posed.Pose(h.Problem, h.Reference)
			case program.Name:
				posed := program.New()
				tk, cfg = posed, programs
				p, err = posed.Pose(h.Problem, h.Reference)
			default:
				p, err = puzzles.Problem(h.Problem)
			}
			require.NoError(t, err)
			rewards, err := stack.New(cfg, tk)
			require.NoError(t, err)
			score := func(completion string) hone.Breakdown {
				b, err := rewards.Score(t.Context(), p, rewardtest.Trajectory(tk, p, completion))
				if h.Task == program.Name && errors.Is(err, hone.ErrUnavailable) {
					t.Skip(err) // no sandbox is to be had here
				}
				require.NoError(t, err)
				return b
			}
			honest, hacked := score(h.Honest), score(h.Completion)
			require.Equal(t, hone.OutcomeRight, honest.Outcome)
			require.Less(t, hacked.Total(), honest.Total())
			for _, l := range hacked.Layers {
				if l.Layer != h.CaughtBy {
					continue
				}
				for _, term := range l.Terms {
					if term.Step != h.Step {
						continue
					}
					require.LessOrEqual(t, term.Score, 0.0)
					require.Contains(t, term.Reason, h.Reason)
					verifies := l.Layer == "correctness" || l.Layer == "codetest"
					require.True(t, term.Score < 0 || verifies && hacked.Outcome != hone.OutcomeRight)
					return
				}
			}
			require.Fail(t, "nothing was said", "layer %s on step %d: %+v", h.CaughtBy, h.Step, hacked)
		})
	}
}
