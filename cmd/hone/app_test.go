package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// called is what a call in this process wrote.
type called struct {
	out, err string
	code     int
}

// callHere runs a command that needs no servers.
func callHere(t *testing.T, args ...string) called {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{program: "hone", stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
	code := a.run(t.Context(), args)
	return called{out.String(), errs.String(), code}
}

func TestExitCodesTellUsageFromErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"dance"},
		{"train", "--cycels", "3"},
		{"train", "extra"},
		{"train", "--preset", "a", "--config", "b"},
		{"solve"},
		{"status", "a", "b"},
		{"train", "--seed", "x"},
	} {
		c := callHere(t, args...)
		require.Equal(t, exitUsage, c.code, args)
		require.Contains(t, c.err, "hone --help lists commands and flags")
		require.Empty(t, c.out)
	}
	for want, args := range map[string][]string{
		"say what to train":           {"train"},
		`preset "demon"`:              {"train", "--preset", "demon"},
		"prompts 0":                   {"train", "--preset", "demo", "--set", "prompts=0"},
		"no such file":                {"train", "--config", "nowhere.yaml"},
		`run name "a/b"`:              {"train", "--preset", "demo", "--run", "a/b"},
		`mode "dance"`:                {"eval", "--mode", "dance"},
		"--version -2":                {"eval", "--version", "-2"},
		"cycles 0: want at least 1":   {"train", "--preset", "demo", "--cycles", "0"},
		"unknown field; want one of ": {"train", "--preset", "demo", "--set", "nothing=1"},
	} {
		c := callHere(t, args...)
		require.Equal(t, exitError, c.code, "%v: %s", args, c.err)
		require.Contains(t, c.err, want)
		require.NotContains(t, c.err, ": invalid")
	}
	require.Zero(t, callHere(t, "--help").code)
	require.Contains(t, callHere(t, "version").out, "hone ")
	require.Contains(t, callHere(t, "version", "--json").out, `"commit":`)
}

func TestErrorsAreToldOnceALine(t *testing.T) {
	t.Parallel()
	one := fmt.Errorf("prompts 0: want at least 1: %w", hone.ErrInvalid)
	invalid := fmt.Errorf("gamma 2: %w", hone.ErrInvalid)
	missing := fmt.Errorf("no Postgres; install it with: apt-get install -y postgresql: %w", hone.ErrNotFound)
	for want, err := range map[string]error{
		"prompts 0: want at least 1":                                  one,
		"prompts 0: want at least 1\n      gamma 2":                   errors.Join(one, invalid, one),
		"can't connect: host: refused":                                errors.New("can't connect:\n\thost: refused\n\thost: refused"),
		"run x: not found":                                            fmt.Errorf("run x: %w", hone.ErrNotFound),
		"no Postgres; install it with: apt-get install -y postgresql": missing,
	} {
		require.Equal(t, want, describe(err))
	}
}

func TestProposedCommandsCanBeTyped(t *testing.T) {
	t.Parallel()
	a := &app{program: "bin/hone", dataDir: "/my data", databaseURL: "postgres://me:secret@db/hone"}
	require.Equal(t, `bin/hone solve --data-dir "/my data" --database-url postgres://me:...@db/hone "4 5 6 10"`,
		a.propose("solve", "4 5 6 10"))
	a = &app{program: "hone", args: []string{"train", "--set", "plan.every=[{split: a}]", "it's"}}
	require.Equal(t, `hone train --set "plan.every=[{split: a}]" "it's"`, a.again())
	require.Equal(t, `'$HOME "x"' ""`, commandLine([]string{`$HOME "x"`, ""}))
}

func TestARequestNamesItsRun(t *testing.T) {
	t.Parallel()
	r, err := trainFlags{preset: "demo"}.request()
	require.NoError(t, err)
	require.Equal(t, "demo-1", r.name)
	r, err = trainFlags{preset: "demo", seed: 7, seedGiven: true, cycles: 9, cyclesGiven: true, set: []string{"prompts=3"}}.request()
	require.NoError(t, err)
	require.Equal(t, "demo-7", r.name)
	require.Equal(t, []int{9, 9, 3}, []int{r.fresh.Cycles, r.fresh.Plan.Cycles, r.fresh.Prompts})
	r, err = trainFlags{preset: "demo", set: []string{"seed=5"}, run: "mine"}.request()
	require.NoError(t, err)
	require.Equal(t, "mine", r.name)
	require.Equal(t, uint64(5), r.fresh.Seed)
}

func TestJobsAreComparedFieldByField(t *testing.T) {
	t.Parallel()
	a, b := activities.DefaultJob(), activities.DefaultJob()
	differences, err := compareJobs(a, b)
	require.NoError(t, err)
	require.Empty(t, differences)
	a.Seed, b.Seed = 1<<64-1, 1<<64-2
	b.PPO.Gamma = 0.5
	differences, err = compareJobs(a, b)
	require.NoError(t, err)
	require.Equal(t, []string{
		"ppo.gamma: stored 1, given 0.5", "seed: stored 18446744073709551615, given 18446744073709551614",
	}, differences)
}

func TestAnInterruptedCommandExitsWithItsOwnCode(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	a := &app{program: "hone", stdout: &errs, stderr: &errs, getenv: func(string) string { return "" }}
	args := []string{"runs", "--data-dir", t.TempDir(), "--database-url", "postgres://127.0.0.1:1/x"}
	require.Equal(t, exitInterrupted, a.run(ctx, args))
	require.Equal(t, "hone: interrupted\n", errs.String())
}
