package program_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/program"
)

const sum = `[{"stdin":"1 2\n","visible":true,"stdout":"3\n"},{"assert":"assert add(1, 2) == 3 < 4"}]`

func TestAProblemIsRebuiltFromItsKey(t *testing.T) {
	t.Parallel()
	tk := program.New()
	p, err := tk.Pose(" Print the sum.\nTwo numbers. \n", " [ {\"visible\": true, \"stdout\":\"3\\n\", \"stdin\":\"1 2\\n\"},"+
		` {"assert": "assert add(1, 2) == 3 < 4"} ]`)
	require.NoError(t, err)
	require.Equal(t, "Print the sum.\nTwo numbers.\n", p.Prompt)
	tests, question, _ := strings.Cut(p.Key, "\n")
	require.Equal(t, sum, tests) //nolint:testifylint // a key is canonical to the byte
	require.Equal(t, "Print the sum.\nTwo numbers.", question)
	again, err := tk.Problem(p.Key)
	require.NoError(t, err)
	require.Equal(t, p, again)
	read, err := tk.Tests(p)
	require.NoError(t, err)
	require.Equal(t, []task.Test{{Stdin: "1 2\n", Stdout: "3\n", Visible: true}, {Assert: "assert add(1, 2) == 3 < 4"}}, read)
	require.Positive(t, tk.Need(p))
	require.Zero(t, tk.Need(hone.Problem{Task: "choice"}))
}

func TestTestsThatAreNone(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"":                                "want a list like",
		"3":                               "want a list like",
		"[]":                              "0 tests: want 1 to 256",
		"[3]":                             "want a list like",
		`[{"stdout":"1"}] x`:              "more follows",
		`[{"stdin":"1"}]`:                 "test 1: want either stdout or assert",
		`[{"stdout":"1","assert":"x"}]`:   "test 1: want either stdout or assert",
		`[{"assert":"x","stdin":"1"}]`:    "stdin beside assert",
		`[{"stdout":"1"},{"output":"1"}]`: `unknown field "output"`,
		"[" + strings.Repeat(`{"stdout":""},`, 256) + `{"stdout":""}]`: "257 tests",
		`[{"stdout":"` + strings.Repeat("x", 1<<20) + `"}]`:            "bytes: want at most",
	} {
		_, err := program.New().Pose("?", reference)
		require.ErrorIs(t, err, hone.ErrInvalid, reference)
		require.ErrorContains(t, err, want)
	}
	p, err := program.New().Pose("?", `[{"stdout":""}]`)
	require.NoError(t, err, "printing nothing can be right")
	_, err = program.New().Problem(p.Key)
	require.NoError(t, err)
}

func TestTheLastClosedBlockIsTheProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ completion, want string }{
		"one":              {"It adds.\n```python\nprint(3)\n```\nDone.", "print(3)\n"},
		"two":              {"```\na\n```\n```\nb\n```", "b\n"},
		"cut off":          {"```\na\n```\nbetter:\n```\nb", "a\n"},
		"longer fence":     {"````md\n```\na\n```\n````", "```\na\n```\n"},
		"tildes":           {"~~~\n```\n~~~", "```\n"},
		"within a line":    {"```x``` is code\n", ""},
		"marks in a line":  {"```\na = '```'\n```", "a = '```'\n"},
		"indented":         {"  ```py\n  a\n  ```", "  a\n"},
		"none":             {"print(3)", ""},
		"empty":            {"```\n\n```", ""},
		"never closed":     {"```\nprint(3)", ""},
		"language at end":  {"```\na\n```python\nb\n```", "a\n```python\nb\n"},
		"carriage returns": {"```\r\na\r\n```\r\n", "a\r\n"},
	} {
		text, ok := program.New().Program(c.completion)
		require.Equal(t, c.want != "", ok, name)
		if ok {
			require.Equal(t, c.want, text, name)
		}
	}
}

func TestChecksPointAtTheProgram(t *testing.T) {
	t.Parallel()
	tk := program.New()
	p, err := tk.Pose("?", sum)
	require.NoError(t, err)
	completion := "It adds.\n```\nprint(3)\n```\nDone."
	checks := tk.Check(p, completion)
	require.Len(t, checks, 5)
	kinds := []task.StepKind{task.StepOther, task.StepOperation, task.StepOperation, task.StepAnswer, task.StepOther}
	for i, c := range checks {
		require.Equal(t, kinds[i], c.Kind)
		require.Equal(t, i < 4, c.Good())
	}
	_, terminal := tk.State(p, completion)
	require.True(t, terminal)
	require.Equal(t, hone.OutcomeCrashed, tk.Verify(p, completion).Outcome, "a task runs nothing")
	require.Equal(t, hone.OutcomeUnparsable, tk.Verify(p, "print(3)").Outcome)
	require.Equal(t, hone.OutcomeUnparsable, tk.Verify(hone.Problem{Task: "choice"}, completion).Outcome)
}

func FuzzCompletion(f *testing.F) {
	f.Add(sum, "```\nprint(3)\n```")
	f.Add("[", "~~~~\n```\n~~~\n")
	tk := program.New()
	f.Fuzz(func(t *testing.T, reference, completion string) {
		p, err := tk.Pose("Which?", reference)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			p = hone.Problem{}
		} else {
			again, err := tk.Problem(p.Key)
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		require.Len(t, tk.Check(p, completion), len(tk.Steps(completion)))
		text, ok := tk.Program(completion)
		require.Equal(t, ok, strings.TrimSpace(text) != "")
		require.False(t, tk.Verify(p, completion).Outcome.Judged())
	})
}
