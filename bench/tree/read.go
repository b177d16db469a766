package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// figures are what benchmarks printed, by their names without the number of processors.
type figures struct {
	// cpu is the processor that the first of them names.
	cpu string
	// values are by name and unit, in the order of the runs.
	values map[string]map[string][]float64
}

// read takes the benchmarks out of what go test prints, whose format is that of golang.org/design/14313-benchmark-format.
func read(in io.Reader) (figures, error) {
	f := figures{values: map[string]map[string][]float64{}}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if cpu, ok := strings.CutPrefix(lines.Text(), "cpu: "); ok && f.cpu == "" {
			f.cpu = cpu
		}
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		if err := f.add(nameOf(words[0]), words[2:]); err != nil {
			return f, fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	if err := lines.Err(); err != nil {
		return f, fmt.Errorf("read: %w", err)
	}
	return f, nil
}

// nameOf is a benchmark's name without what go test says of processors: BenchmarkRun/puct-2 is Run/puct.
func nameOf(word string) string {
	name := strings.TrimPrefix(word, "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			name = name[:i]
		}
	}
	return name
}

// add keeps one run's figures, which are pairs of a number and its unit.
func (f figures) add(name string, pairs []string) error {
	if len(pairs)%2 != 0 {
		return fmt.Errorf("%d words after the number of runs, want pairs: %w", len(pairs), errLine)
	}
	if f.values[name] == nil {
		f.values[name] = map[string][]float64{}
	}
	for pair := range slices.Chunk(pairs, 2) {
		x, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return fmt.Errorf("%w: %w", errLine, err)
		}
		f.values[name][pair[1]] = append(f.values[name][pair[1]], x)
	}
	return nil
}

// of are a benchmark's figures of one unit.
func (f figures) of(name, unit string) ([]float64, error) {
	x := f.values[name][unit]
	if len(x) == 0 {
		return nil, fmt.Errorf("%s, %s: %w", name, unit, errNothing)
	}
	return x, nil
}

// over are the ratios of x and y, run by run.
func over(x, y []float64) []float64 {
	out := make([]float64, min(len(x), len(y)))
	for i := range out {
		out[i] = x[i] / y[i]
	}
	return out
}

// median is that of x, which isn't empty; of an even number it is the mean of the two in the middle.
func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
