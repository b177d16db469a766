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
