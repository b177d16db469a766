package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// entry is a method on a task, with the finished runs of its seeds.
type entry struct {
	method method
	runs   []record
}

// comparison is a task's.
type comparison struct {
	task    task
	entries []entry
	// budget is the number of tokens that every run of the table has reached: where accuracies are compared.
	budget float64
	// partial counts records of runs that are not finished: they are in no table.
	partial int
}

// compare gathers the finished runs of a task, in the order of the methods and seeds.
func compare(t task, records []record) comparison {
	c := comparison{task: t, budget: math.Inf(1)}
	for _, m := range methodsAll() {
		e := entry{method: m}
		for _, r := range records {
			switch {
			case r.Task != t.name || r.Method != m.name:
			case !r.Finished:
				c.partial++
			default:
				e.runs = append(e.runs, r)
				c.budget = min(c.budget, r.last().Tokens)
			}
		}
		slices.SortFunc(e.runs, func(a, b record) int { return cmp.Compare(a.Seed, b.Seed) })
		if len(e.runs) > 0 {
			c.entries = append(c.entries, e)
		}
	}
	return c
}

// values are one figure of each of the runs.
func (e entry) values(figure func(record) float64) []float64 {
	out := make([]float64, len(e.runs))
	for i, r := range e.runs {
		out[i] = figure(r)
	}
	return out
}

// winnerOf is the method that learns from what it generates and is most accurate at equal tokens, by the mean over its seeds; the
// earlier in the table among equals. There is none before all methods of the task have a run.
func winnerOf(records []record, t task) (method, bool) {
	c := compare(t, records)
	var best method
	most, found := 0.0, false
	for _, e := range c.entries {
		if e.method.demonstrated {
			continue
		}
		mean, _ := meanStd(e.values(func(r record) float64 { return r.at(c.budget) }))
		if !found || mean > most {
			best, most, found = e.method, mean, true
		}
	}
	return best, found
}

// meanStd is the mean and the deviation with n - 1, which is NaN of one value.
func meanStd(values []float64) (mean, std float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, math.NaN()
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sum / float64(len(values)-1))
}

// spread is mean ± deviation of values times scale.
func spread(values []float64, scale float64) string {
	mean, std := meanStd(values)
	if math.IsNaN(std) {
		return fmt.Sprintf("%.1f", scale*mean)
	}
	return fmt.Sprintf("%.1f ± %.1f", scale*mean, scale*std)
}
