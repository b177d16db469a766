//go:build linux

package codetest_test

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
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/choice"
	"github.com/hone-rl/hone/task/program"
)

func TestMain(m *testing.M) {
	if code, is := sandbox.Init(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// shell runs scripts, since every system that has Go has a shell.
func shell() codetest.Config {
	return codetest.Config{
		File: "program", Command: []string{"sh", "program"}, AssertCommand: []string{"sh", "-s"}, Done: "echo; echo {token}",
		CPU: 1, Wall: 120, Output: 16,
	}
}

// add are the tests of a program that adds: two that the policy was shown, two that it wasn't.
func add() []task.Test {
	return []task.Test{
		{Stdin: "1 2\n", Stdout: "3\n", Visible: true},
		{Stdin: "2 2\n", Stdout: "4\n", Visible: true},
		{Stdin: "20 22\n", Stdout: "42\n"},
		{Stdin: "-1 1\n", Stdout: "0\n"},
	}
}

func pose(t *testing.T, tests []task.Test) (*program.Task, hone.Problem) {
	t.Helper()
	text, err := json.Marshal(tests)
	require.NoError(t, err)
	tk := program.New()
	p, err := tk.Pose("Add.", string(text))
	require.NoError(t, err)
	return tk, p
}

// judge runs a program and skips where the system allows no sandbox.
func judge(t *testing.T, cfg codetest.Config, tests []task.Test, text string) (hone.Outcome, hone.Term) {
	t.Helper()
	tk, p := pose(t, tests)
	l, err := codetest.New(cfg, tk)
	require.NoError(t, err)
	j, err := l.Judge(t.Context(), p, rewardtest.Trajectory(tk, p, "So:\n```\n"+text+"\n```\n"))
	if errors.Is(err, hone.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Len(t, j.Terms, 1)
	return j.Outcome, j.Terms[0]
}

const adds = "read a b; echo $((a + b))"

func TestConformance(t *testing.T) {
	t.Parallel()
	tk, p := pose(t, add())
	l, err := codetest.New(shell(), tk)
	require.NoError(t, err)
	judge(t, shell(), add(), adds) // skips
	rewardtest.Run(t, l, tk, p, "It adds.\n```\n"+adds+"\n```\n", "```\nawk '{print $1 + $2}'\n```")
}

func TestProgramsAreJudgedByWhatTheyDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		outcome hone.Outcome
		reason  string
	}{
		"right":              {adds, hone.OutcomeRight, "passes all 4 tests"},
		"spaces at the end":  {"read a b; printf '%d  \\n\\n' $((a + b))", hone.OutcomeRight, "passes all 4 tests"},
		"wrong":              {"read a b; echo $((a * b))", hone.OutcomeWrong, `passes 1 of 4 tests; test 1 prints "2", want "3"`},
		"error":              {"echo no such thing >&2; exit 7", hone.OutcomeWrong, "passes 0 of 4 tests; test 1 ends with status 7: no such"},
		"ends early":         {"exit 0; " + adds, hone.OutcomeWrong, `test 1 prints "", want "3"`},
		"endless loop":       {"while :; do :; done", hone.OutcomeWrong, "test 1 runs longer than 1 s of processor time"},
		"endless output":     {"while :; do echo 3; done", hone.OutcomeWrong, "test 1 prints more than 16 KiB"},
		"too many processes": {"f() { f | f & }; f; wait", hone.OutcomeWrong, `test 1 prints "", want "3"`},
		"answers by heart": {
			"read x; case $x in '1 2') echo 3;; '2 2') echo 4;; esac", hone.OutcomeWrong,
			`passes the 2 visible tests and none of 2 hidden ones, as if it had the answers by heart; test 3 prints "", want "42"`,
		},
		"looks for tests": {"cat /box/* /tmp/* /proc/1/environ /proc/1/fd/0; " + adds, hone.OutcomeWrong, "passes 0 of 4"},
		"leaves answers": {
			"read a b; cat left 2>/dev/null || { echo $((a + b)); echo 4 >left; }", hone.OutcomeRight, "passes all",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, term := judge(t, shell(), add(), c.text)
			require.Contains(t, term.Reason, c.reason)
			require.Equal(t, c.outcome, outcome, term.Reason)
			require.Equal(t, 3, term.Step, "the closing fence")
			want := 0.0
			if outcome == hone.OutcomeRight {
				want = 1
			}
			require.InDelta(t, want, term.Score, 0)
		})
	}
}

func TestWaitingIsATimeoutAndNoJudgement(t *testing.T) {
	t.Parallel()
	cfg := shell()
	cfg.Wall, cfg.Partial = 1, 0.5
	outcome, term := judge(t, cfg, add(), "read a b; [ $a = 2 ] && sleep 1000; echo $((a + b))")
	require.Equal(t, hone.OutcomeTimeout, outcome)
	require.Equal(t, "test 2 does not end within 1 s", term.Reason)
	require.Zero(t, term.Score)
	outcome, _ = judge(t, cfg, add(), "read a b; [ $a = 2 ] && sleep 1000; echo no")
	require.Equal(t, hone.OutcomeWrong, outcome, "it had failed before it waited")
}

func TestASharePaysLessThanAll(t *testing.T) {
	t.Parallel()
	cfg := shell()
	cfg.Partial = 0.5
	outcome, term := judge(t, cfg, add(), "read a b; echo $((a > 9 ? a + b : 4))")
	require.Equal(t, hone.OutcomeWrong, outcome)
	require.InDelta(t, 0.5*2/4, term.Score, 1e-12)
}

func TestAssertionsMustBeReached(t *testing.T) {
	t.Parallel()
	tests := []task.Test{{Assert: "[ \"$(add 1 2)\" = 3 ] || { echo not 3 >&2; exit 1; }"}}
	for name, c := range map[string]struct {
		text    string
		outcome hone.Outcome
		reason  string
	}{
		"right":            {"add() { echo $(($1 + $2)); }", hone.OutcomeRight, "passes all 1 tests"},
		"wrong":            {"add() { echo 4; }", hone.OutcomeWrong, "ends with status 1: not 3"},
		"ends early":       {"exit 0", hone.OutcomeWrong, "ends before its assertions do"},
		"ends early, loud": {"echo; echo ok; exit 0", hone.OutcomeWrong, "ends before its assertions do"},
	} {
		outcome, term := judge(t, shell(), tests, c.text)
		require.Contains(t, term.Reason, c.reason, name)
		require.Equal(t, c.outcome, outcome, name)
	}
}

func TestPythonByDefault(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("there is no /usr/bin/python3")
	}
	tests := append(add(), task.Test{Assert: "assert add(1, 2) == 3"})
	for name, c := range map[string]struct {
		text    string
		outcome hone.Outcome
		reason  string
	}{
		"right": {
			"def add(a, b):\n    return a + b\nimport sys\nline = sys.stdin.readline()\nif line:\n    print(add(*map(int, line.split())))",
			hone.OutcomeRight, "passes all 5 tests",
		},
		"memory": {"x = bytearray(4 << 30)", hone.OutcomeWrong, "MemoryError"},
		"network": {
			"import socket\nsocket.create_connection(('192.0.2.1', 80), 5)", hone.OutcomeWrong, "Network is unreachable",
		},
		"files":         {"print(open('/etc/passwd').read())", hone.OutcomeWrong, "No such file or directory"},
		"environment":   {"import os\nprint(os.environ['HOME'], 'USER' in os.environ)", hone.OutcomeWrong, `prints "/box False"`},
		"exits at once": {"import os\nos._exit(0)", hone.OutcomeWrong, "passes 0 of 5"},
		"the same text twice": {
			"print(hash('a'), object())", hone.OutcomeWrong, "<object object at 0x7f",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, term := judge(t, codetest.Config{}, tests, c.text)
			require.Contains(t, term.Reason, c.reason)
			require.Equal(t, c.outcome, outcome)
			_, again := judge(t, codetest.Config{}, tests, c.text)
			require.Equal(t, term, again)
		})
	}
}

func TestWithoutASandboxItIsSaid(t *testing.T) {
	t.Parallel()
	cfg := shell()
	cfg.Unsandboxed = true
	outcome, term := judge(t, cfg, add(), adds)
	require.Equal(t, hone.OutcomeRight, outcome)
	require.Equal(t, "passes all 4 tests; run without a sandbox", term.Reason)
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := codetest.New(codetest.Config{
		File: "a/b", Done: "echo", Env: []string{"X"}, Read: []string{"usr", "/"}, CPU: -1, Partial: 1, Cgroup: "x",
	}, nil)
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{
		`file "a/b"`, `done "echo"`, `env "X"`, `read "usr"`, `read "/"`, "cpu_seconds -1", "partial 1", `cgroup "x"`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = codetest.New(codetest.Config{}, choice.New())
	require.ErrorContains(t, err, "answers of task choice are no programs")

	tk, p := pose(t, add())
	cfg := shell()
	cfg.Command = []string{"no-such-interpreter"}
	l, err := codetest.New(cfg, tk)
	require.NoError(t, err)
	_, err = l.Judge(t.Context(), p, rewardtest.Trajectory(tk, p, "```\nx\n```\n"))
	require.ErrorIs(t, err, hone.ErrUnavailable)
}
