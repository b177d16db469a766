package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/hone-rl/hone/bench/job"
)

// limits shows how near the steps come to what the machine can do: the best product and the best stream that either side has shown.
func (r *report) limits() error {
	r.prose("## Share of the machine")
	product := r.best("gflops", job.Peak)
	stream := max(r.best("read_gbs", job.Bandwidth), r.best("triad_gbs", job.Bandwidth))
	if product == 0 || stream == 0 {
		r.prose("Its limits were not measured.")
		return nil
	}
	r.table("limit", "hone", "PyTorch")
	for _, l := range []struct {
		name   string
		task   job.Task
		figure string
	}{
		{"product of 2,048 × 2,048 matrices, GFLOPS", job.Peak, "gflops"},
		{"reading 512 MiB, GB/s", job.Bandwidth, "read_gbs"},
		{"triad over 3 × 512 MiB, GB/s", job.Bandwidth, "triad_gbs"},
	} {
		for _, j := range r.jobs(l.task) {
			r.row(l.name, r.of(j, hone, figure(l.figure)).String(), r.of(j, eager, figure(l.figure)).String())
		}
	}
	r.WriteString("\n")
	r.prose(fmt.Sprintf(`
Shares are of the best that either has shown, %s GFLOPS and %s GB/s. Operations are counted exactly (matrices, attention, the output
layer for scored tokens), and in brackets by the rule of 2 a weight and token forward and 6 with the backward pass. What a small policy
does between its products is a larger part of it.`, short(product), short(stream)))
	if err := r.products(product); err != nil {
		return err
	}
	r.prose("Sampling one sequence reads all weights for each token. What fits the caches can come faster than from memory.")
	return r.streams(stream)
}

// best is the largest figure of that name that any run has shown; 0 is none.
func (r *report) best(name string, task job.Task) float64 {
	most := 0.0
	for _, m := range r.runs {
		if m.Task == task && m.Error == "" {
			most = max(most, m.Figures[name])
		}
	}
	return most
}

func (r *report) products(peak float64) error {
	r.table("step", "policy", "hone GFLOPS", "share", "eager", "share", "compiled", "share")
	for _, j := range r.jobs(job.Update, job.Supervised) {
		c, err := job.Config(j.Size)
		if err != nil {
			return err
		}
		cells := []string{string(j.Task), fmt.Sprintf("%s, %s million", j.Size, short(float64(c.NumParams())/1e6))}
		for _, engine := range []string{hone, eager, compiled} {
			steps := r.of(j, engine, rate).median / float64(j.Tokens())
			exact, rule := steps*j.Operations(c)/1e9, steps*j.RuleOfThumb(c)/1e9
			cells = append(cells, fmt.Sprintf("%s (%s)", short(exact), short(rule)), percent(exact/peak))
		}
		r.row(cells...)
	}
	r.WriteString("\n")
	return nil
}

func (r *report) streams(peak float64) error {
	r.table("policy", "weights, MB", "hone GB/s", "share", "transformers GB/s", "share")
	for _, j := range r.jobs(job.Sample) {
		if j.Batch != 1 {
			continue
		}
		c, err := job.Config(j.Size)
		if err != nil {
			return err
		}
		cells := []string{j.Size, short(job.WeightBytes(c) / 1e6)}
		for _, engine := range []string{hone, transformers} {
			v := r.of(j, engine, rate).median * job.WeightBytes(c) / 1e9
			cells = append(cells, short(v), percent(v/peak))
		}
		r.row(cells...)
	}
	r.WriteString("\n")
	return nil
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "—"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func (r *report) memory() {
	r.prose("## Peak memory of the process, MB")
	r.prose(`
PyTorch's smallest figure is mostly its libraries. Allocations are hone's heap objects in a step, or in sampling all sequences once.`)
	r.table("", "policy", "sequences", "hone", "eager or transformers", "compiled", "hone's allocations")
	peak := func(m measured) float64 { return float64(m.PeakBytes) / 1e6 }
	for _, j := range r.jobs(job.Update, job.Supervised, job.Sample) {
		other := eager
		if j.Task == job.Sample {
			other = transformers
		}
		allocs := r.of(j, hone, func(m measured) float64 { return m.Allocs })
		r.row(string(j.Task), j.Size, strconv.Itoa(j.Batch), short(r.of(j, hone, peak).median),
			short(r.of(j, other, peak).median), short(r.of(j, compiled, peak).median), short(allocs.median))
	}
	r.WriteString("\n")
}

// checks shows how far hone is from float64 on the same weights and tokens.
func (r *report) checks() {
	found := r.jobs(job.Check)
	if len(found) == 0 {
		return
	}
	r.prose("## The same numbers")
	r.prose(`
hone in float32 against PyTorch in float64, same weights, 2 × 64 tokens: the largest deviation over the largest value of its kind; of a
gradient, in the worst of all tensors. The clipped loss has all its terms. Losses are those before each of ten steps of AdamW at a
rate of 0.001.`)
	columns := []string{""}
	for _, j := range found {
		columns = append(columns, j.Size)
	}
	r.table(columns...)
	for _, f := range []struct{ key, name string }{
		{"logits", "logits, but for their common shift"},
		{"logits_transformers", "the same of transformers in float32"},
		{"logp", "log-probabilities"},
		{"entropy", "entropies"},
		{"value", "values"},
		{"supervised_gradient", "gradient of the cross-entropy"},
		{"clipped_loss", "clipped loss"},
		{"clipped_gradient", "gradient of the clipped loss"},
		{"step_losses", "losses of ten steps"},
	} {
		cells := []string{f.name}
		for _, j := range found {
			cells = append(cells, fmt.Sprintf("%.1e", r.of(j, eager, figure(f.key)).median))
		}
		r.row(cells...)
	}
	for step := 1; step <= 10; step++ {
		cells := []string{fmt.Sprintf("loss %d: hone, float64", step)}
		for _, j := range found {
			name := fmt.Sprintf("loss_%02d_", step)
			cells = append(cells, fmt.Sprintf("%.6f, %.6f",
				r.of(j, eager, figure(name+"hone")).median, r.of(j, eager, figure(name+"float64")).median))
		}
		r.row(cells...)
	}
}
