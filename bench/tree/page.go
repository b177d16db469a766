package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// kinds are the searches whose own work is measured, by the names of their benchmarks.
func kinds() []kind {
	return []kind{
		{"puct/trees=1/leaves=1", "PUCT"},
		{"puct-deep/trees=1/leaves=1", "PUCT, long lines"},
		{"puct/trees=8/leaves=1", "PUCT, eight trees"},
		{"puct/trees=1/leaves=64", "PUCT, 64 leaves at once"},
		{"puct-tree/trees=1/leaves=1", "PUCT, Q by the range of the tree"},
		{"puct-share/trees=1/leaves=1", "PUCT, states shared"},
		{"gumbel/trees=1/leaves=1", "Gumbel"},
	}
}

type kind struct{ name, title string }

// offers are the candidates that a state has at first in the measurements over a policy.
func offers() []offer {
	return []offer{{2, "two at once"}, {1, "one, widening"}}
}

type offer struct {
	candidates int
	title      string
}

// precisions and leaves are those of the measurements over a policy; the first number of leaves is the serial search.
func precisions() []string { return []string{"float32", "bf16"} }
func leaves() []int        { return []int{1, 4, 16, 64} }

// page is all that was measured, in Markdown.
func (f figures) page(note string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `# The search's speed

Written by %s. Processor: %s. %s

## The tree's own work

Selection, expansion and backup with an evaluator that costs nothing: 64 actions a state, 10,000 evaluated nodes. Simulations a second of
one processor's time: the median of runs, the least and the most. A walk through long lines takes more steps, so that the mean depth of
evaluated nodes belongs to the figure.

| search | mean depth | simulations/s |
|---|---|---|
`, "`make bench-tree`", f.cpu, note)
	var faults []error
	of := func(name, unit string) []float64 {
		x, err := f.of(name, unit)
		if err != nil {
			faults = append(faults, err)
			return []float64{0}
		}
		return x
	}
	for _, kind := range kinds() {
		fmt.Fprintf(&b, "| %s | %.1f | %s |\n", kind.title, median(of("Run/"+kind.name, "depth")), thousands(of("Run/"+kind.name, "sims/cpu-s")))
	}
	fmt.Fprintf(&b, `
An evaluated node keeps %.0f bytes: itself, the link to it, its state, and the priors of its 64 actions, which are 512.

## Many leaves at once over a policy

One tree over the 10M preset with random weights; steps have at most eight tokens. A state has two candidates at once, which are sampled
side by side, or one at first and more as visits grow (widening by 2√N), so that the serial search samples one step at a time. Simulations
a second of processor's time and by the clock; then, run by run, how many times those of the serial search in processor's time, and the
same of the steps written, since a tree of another shape asks for more or fewer of them a simulation.

| candidates | sampling | leaves | simulations/s of processor | by the clock | times serial | steps, times serial |
|---|---|---|---|---|---|---|
`, median(of("Memory", "B/evaluated")))
	for _, o := range offers() {
		for _, precision := range precisions() {
			name := func(n int) string {
				return fmt.Sprintf("Leaves/candidates=%d/precision=%s/leaves=%d", o.candidates, precision, n)
			}
			times := func(n int, unit string) string {
				x := over(of(name(n), unit), of(name(leaves()[0]), unit))
				return fmt.Sprintf("%.1f (%.1f-%.1f)", median(x), slices.Min(x), slices.Max(x))
			}
			for _, n := range leaves() {
				fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.0f | %s | %s |\n", o.title, precision, n, median(of(name(n), "sims/cpu-s")),
					median(of(name(n), "sims/s")), times(n, "sims/cpu-s"), times(n, "steps/cpu-s"))
			}
		}
	}
	return b.String(), errors.Join(faults...)
}

// thousands says the median of rates, the least and the most.
func thousands(x []float64) string {
	return fmt.Sprintf("%.0f,000 (%.0f,000-%.0f,000)", median(x)/1000, slices.Min(x)/1000, slices.Max(x)/1000)
}
