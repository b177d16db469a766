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
	// unfinished are the records of the other runs: they are in no table.
	unfinished []record
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
				c.unfinished = append(c.unfinished, r)
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

// of is the method's entry; one without runs where it has none.
func (c comparison) of(name string) entry {
	for _, e := range c.entries {
		if e.method.name == name {
			return e
		}
	}
	return entry{}
}

// differences are how much more accurate a method is than another at equal tokens, seed by seed: those of one seed begin with the same
// weights and answer the same problems. Seeds that one of them lacks are left out.
func (c comparison) differences(e, than entry) []float64 {
	var out []float64
	for _, r := range e.runs {
		for _, other := range than.runs {
			if r.Seed == other.Seed {
				out = append(out, r.at(c.budget)-other.at(c.budget))
			}
		}
	}
	return out
}

// interval is the mean and half the width of its 95 % confidence interval by Student's t, which is NaN of one value.
func interval(values []float64) (mean, half float64) {
	// The 97.5 % quantiles for 1, 2, ... degrees of freedom; with more than these it is a little too wide.
	quantiles := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262}
	mean, std := meanStd(values)
	if len(values) < 2 {
		return mean, math.NaN()
	}
	return mean, quantiles[min(len(values)-2, len(quantiles)-1)] * std / math.Sqrt(float64(len(values)))
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
