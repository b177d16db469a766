// Package rewardtest is how a reward layer proves that it keeps the contract of [reward.Layer].
package rewardtest

import (
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Trajectory is a trajectory of the completion as a sampler would have made it, with a token for every three bytes of a step and one
// for the end. Its numbers are made up; its steps, text and ranges fit each other.
func Trajectory(t task.Task, p hone.Problem, completion string) hone.Trajectory {
	traj := hone.Trajectory{
		ID: hone.TrajectoryID{Run: "00000000-0000-4000-8000-000000000000", Iteration: 1, Sample: 2}, Problem: p,
		Source: hone.SourceSample, Seed: 3, Fingerprint: "none", Finish: hone.FinishStop, Text: completion,
	}
	steps := t.Steps(completion)
	if len(steps) == 0 {
		steps = []string{""}
	}
	count := 0
	for i, text := range steps {
		from := count
		count += 1 + len(text)/3
		if i == len(steps)-1 {
			count++
		}
		traj.Steps = append(traj.Steps, hone.Step{Text: text, From: from, To: count})
	}
	traj.Tokens = make([]hone.TokenID, count)
	traj.Logp = make([]float32, count)
	traj.Values = make([]float32, count)
	return traj
}

// Case is a trajectory to judge.
type Case struct {
	Name       string
	Problem    hone.Problem
	Trajectory hone.Trajectory
}

// Cases are trajectories of a problem that any layer must bear: those of the completions given, cut off at several places, and
// garbage, empty, huge and foreign ones.
func Cases(t task.Task, p hone.Problem, completions ...string) []Case {
	var cases []Case
	put := func(name, text string) {
		cases = append(cases, Case{Name: name, Problem: p, Trajectory: Trajectory(t, p, text)})
	}
	for _, c := range completions {
		put("given", c)
		put("given and repeated", c+c)
		for _, share := range []int{4, 2} {
			put("cut off", c[:len(c)/share])
		}
	}
	put("empty", "")
	put("line ends", "\n\n\n")
	put("garbage", "\x00\xff = ) left back Answer: ((\nAnswer:\nback\n1/0 = (left: \n")
	put("huge line", strings.Repeat("9", 1<<20))
	put("huge count of steps", strings.Repeat("1 + 1 = 2 (left: 2)\n", 1<<14))

	none := Trajectory(t, p, "")
	none.Steps, none.Tokens, none.Logp, none.Values = nil, nil, nil, nil
	cases = append(cases, Case{Name: "no steps", Problem: p, Trajectory: none})
	foreign := hone.Problem{Task: "no such task", Key: "?", Prompt: "?"}
	return append(cases, Case{Name: "foreign problem", Problem: foreign, Trajectory: Trajectory(t, foreign, "1\n")})
}

// Run checks the layer on Cases of the problem and completions: terms are finite, in order and on steps that exist, the outcome is
// one of the five or none, judging again and from many goroutines gives the same, the arguments stay as they were, and steps that
// are not those of the text do no worse than an error.
func Run(t *testing.T, layer reward.Layer, tk task.Task, p hone.Problem, completions ...string) {
	t.Helper()
	require.NotEmpty(t, layer.Name())
	for _, c := range Cases(tk, p, completions...) {
		t.Run(c.Name, func(t *testing.T) {
			before := text(t, c.Trajectory)
			first, err := layer.Judge(t.Context(), c.Problem, c.Trajectory)
			require.NoError(t, err)
			sound(t, first, len(c.Trajectory.Steps))
			require.Equal(t, before, text(t, c.Trajectory), "the trajectory was changed")

			var group sync.WaitGroup
			again := make([]reward.Judgement, 4)
			failed := make([]error, len(again))
			for i := range again {
				group.Go(func() { again[i], failed[i] = layer.Judge(t.Context(), c.Problem, c.Trajectory) })
			}
			group.Wait()
			for i := range again {
				require.NoError(t, failed[i])
				require.Equal(t, first, again[i], "judging again gave something else")
			}
		})
	}
	t.Run("steps of another text", func(t *testing.T) {
		traj := Trajectory(tk, p, "1\n2\n3\n")
		traj.Text = "1\n"
		if j, err := layer.Judge(t.Context(), p, traj); err == nil {
			sound(t, j, len(traj.Steps))
		}
	})
}

// sound checks one judgement of a trajectory of that many steps.
func sound(t *testing.T, j reward.Judgement, steps int) {
	t.Helper()
	require.Contains(t, []hone.Outcome{
		"", hone.OutcomeRight, hone.OutcomeWrong, hone.OutcomeUnparsable, hone.OutcomeTimeout, hone.OutcomeCrashed,
	}, j.Outcome)
	last := 0
	for _, term := range j.Terms {
		require.GreaterOrEqual(t, term.Step, last, "terms are in step order")
		require.Less(t, term.Step, steps, "terms are on steps that exist")
		require.False(t, math.IsNaN(term.Score) || math.IsInf(term.Score, 0), "scores are finite")
		require.NotEmpty(t, term.Reason, "a term says why")
		last = term.Step
	}
}

func text(t *testing.T, traj hone.Trajectory) string {
	t.Helper()
	b, err := json.Marshal(traj)
	require.NoError(t, err)
	return string(b)
}
