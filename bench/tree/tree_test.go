package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// printed is what go test prints for all benchmarks in so many runs, each faster than the one before.
func printed(runs int) string {
	var b strings.Builder
	b.WriteString("goos: linux\ncpu: A Processor\n")
	for run := range runs {
		for i, kind := range kinds() {
			fmt.Fprintf(&b, "BenchmarkRun/%s-2 \t 31 \t 38184360 ns/op\t %d.57 depth\t %d sims/cpu-s\n", kind.name, 28+i, 400_000+1000*run)
		}
		b.WriteString("BenchmarkMemory-2 \t 26 \t 42977279 ns/op \t 730.1 B/evaluated\t 11.4 B/node\n")
		for _, o := range offers() {
			for _, precision := range precisions() {
				for _, n := range leaves() {
					fmt.Fprintf(&b, "BenchmarkLeaves/candidates=%d/precision=%s/leaves=%d-2 1 36 ns/op %d sims/cpu-s %d sims/s %d steps/cpu-s\n",
						o.candidates, precision, n, 10*n+10*run, 2*n, 3*n)
				}
			}
		}
	}
	return b.String() + "PASS\nok  \tpackage\t1.2s\n"
}

func TestPageHasMediansAndRatiosRunByRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run([]string{"-note", "Commit x."}, strings.NewReader(printed(3)), &out))
	page := out.String()
	require.Contains(t, page, "Processor: A Processor. Commit x.\n")
	require.Contains(t, page, "\n| PUCT | 28.6 | 401,000 (400,000-402,000) |\n| PUCT, long lines | 29.6 |")
	require.Contains(t, page, "keeps 730 bytes")
	// 640, 650 and 660 over 10, 20 and 30.
	require.Contains(t, page, "\n| one, widening | bf16 | 64 | 650 | 128 | 32.5 (22.0-64.0) | 64.0 (64.0-64.0) |\n")
	require.Contains(t, page, "\n| two at once | float32 | 1 | 20 | 2 | 1.0 (1.0-1.0) | 1.0 (1.0-1.0) |\n")
}

func TestNothingIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"Run/puct/trees=8", "Memory", "Leaves/candidates=1/precision=bf16/leaves=16"} {
		var in []string
		for line := range strings.Lines(printed(1)) {
			if !strings.HasPrefix(line, "Benchmark"+missing) {
				in = append(in, line)
			}
		}
		err := run(nil, strings.NewReader(strings.Join(in, "")), &strings.Builder{})
		require.ErrorIs(t, err, errNothing)
		require.ErrorContains(t, err, missing)
	}
}

func TestLinesThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"BenchmarkMemory-2 1 2 ns/op 3", "BenchmarkMemory-2 1 two ns/op"} {
		err := run(nil, strings.NewReader(line), &strings.Builder{})
		require.ErrorIs(t, err, errLine)
		require.ErrorContains(t, err, line)
	}
}

func TestNamesLoseTheirProcessors(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Run/puct-deep", nameOf("BenchmarkRun/puct-deep-16"))
	require.Equal(t, "Run/puct-deep", nameOf("BenchmarkRun/puct-deep"), "of one processor go test says nothing")
}
