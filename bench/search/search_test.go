package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeHone is a program that says what hone eval would, and counts how often it was asked in a file beside it.
const fakeHone = `#!/bin/sh
echo "$@" >> "$0.log"
case "$*" in *majority*) echo "no answers" >&2; exit 1;; esac
echo '{"version": 7, "problems": 4, "outcomes": {"right": 3}, "tokens": 90, "seconds": 2}'
`

func TestComparisonIsMadeOnceAndReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "hone")
	require.NoError(t, os.WriteFile(program, []byte(fakeHone), 0o700))
	args := []string{
		"-hone", program, "-dir", filepath.Join(dir, "records"), "-out", dir, "-runs", "a,b", "-methods", "greedy,best_of,majority,puct",
		"-budgets", "100,200", "-verified",
	}
	err := run(t.Context(), args, io.Discard)
	require.ErrorContains(t, err, "majority within 100 tokens, run a")
	require.ErrorContains(t, err, "no answers")
	asked, err := os.ReadFile(program + ".log")
	require.NoError(t, err)
	require.Contains(t, string(asked), "--run b --version -1 --split heldout --limit 0 --search puct --budget 200 --verified\n")
	require.NotContains(t, string(asked), "majority --budget 100 --verified", "it asks no judge")
	page, err := os.ReadFile(filepath.Join(dir, "search.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "| method | 100 tokens | 200 tokens |")
	require.Contains(t, string(page), "| PUCT | 75.0 ± 0.0; 120; 0.500 s | 75.0 ± 0.0; 120; 0.500 s |")
	require.Contains(t, string(page), "| greedy | 75.0 ± 0.0;")
	require.Contains(t, string(page), "runs: a version 7, b version 7.")
	require.FileExists(t, filepath.Join(dir, "search-heldout-verified.png"))

	// Again: what is recorded is not asked for, and the report alone asks nothing.
	require.Error(t, run(t.Context(), args, io.Discard))
	again, err := os.ReadFile(program + ".log")
	require.NoError(t, err)
	require.Len(t, again, len(asked)+lengthOf(string(asked), "majority"))
	require.NoError(t, run(t.Context(), append(args, "-report"), io.Discard))
}

func TestTasksHaveTablesOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	puct := record{Method: "puct", Budget: 100, Run: "a", Split: "heldout", Problems: 4, Right: 3, Tokens: 90}
	other := puct
	other.Task, other.Right = "countdown", 1
	old := puct
	old.Task, old.Run = "game24", "b"
	require.NoError(t, write(dir, []record{puct, other, old}))
	page, err := os.ReadFile(filepath.Join(dir, "search.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "\n## countdown-heldout\n")
	require.Contains(t, string(page), "| PUCT | 25.0 ± 0.0;")
	require.Contains(t, string(page), "| PUCT | 75.0 ± 0.0;")
	require.Contains(t, string(page), "runs: a version 0, b version 0.", "a record without a task is of the Game of 24")
}

func TestAWayThatOverspendsIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "hone")
	require.NoError(t, os.WriteFile(program, []byte(fakeHone), 0o700))
	args := []string{"-hone", program, "-dir", filepath.Join(dir, "records"), "-out", dir, "-runs", "a", "-methods", "puct", "-budgets", "80"}
	require.ErrorIs(t, run(t.Context(), args, io.Discard), errOverspent)
}

// The smoke test trains before it measures, all ways, in a folder of its own.
func TestShortFormTrainsAndMeasuresAllWays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "hone")
	require.NoError(t, os.WriteFile(program, []byte(strings.ReplaceAll(fakeHone, "*majority*", "*nothing*")), 0o700))
	require.NoError(t, run(t.Context(), []string{"-short", "-hone", program, "-dir", dir}, io.Discard))
	asked, err := os.ReadFile(program + ".log")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(asked)), "\n")
	require.Len(t, lines, 1+len(methods()))
	require.Contains(t, lines[0], "train --json --config "+filepath.Join(dir, "short", "short.yaml")+" --run short --data-dir ")
	require.Contains(t, lines[1], "--run short --version -1 --split train --limit 12 --data-dir "+filepath.Join(dir, "short", "data"))
	require.FileExists(t, filepath.Join(dir, "short", "search.md"))

	greedy := record{Method: "greedy", Right: 3}
	puct := record{Method: "puct_leaves_64", Verified: true, Right: 2}
	beam := record{Method: "beam", Verified: true, Right: 2}
	require.NoError(t, checkShort([]record{greedy, beam}))
	require.ErrorIs(t, checkShort([]record{greedy, puct}), errWorse)
	require.ErrorIs(t, checkShort([]record{puct}), errWorse, "a policy that solves nothing says nothing")
}

// lengthOf is the length of the lines that hold word.
func lengthOf(text, word string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			n += len(line)
		}
	}
	return n
}

func TestCommandLineIsChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-methods", "guess"}, {"-budgets", "0"}, {"-budgets", "x"}, {"-what"}} {
		require.ErrorIs(t, run(t.Context(), args, io.Discard), errUsage)
	}
	require.ErrorIs(t, run(t.Context(), []string{"-report", "-dir", t.TempDir()}, io.Discard), errNothing)
}
