package main

import (
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy/kernel"
)

// The contestants.
const (
	hone     = "hone"
	amx      = "hone, amx" // where the processor has it
	eager    = "eager"
	compiled = "compiled"
	// Of sampling alone.
	bf16             = "hone, bf16"
	transformers     = "transformers"
	transformersBF16 = "transformers, bf16"
)

// contest is one row of the table: a job, and who does it.
type contest struct {
	job.Job

	engines []string
	// target is the least ratio of hone's rate to eager PyTorch's that the project has set itself; 0 is none.
	target float64
}

// shape is the steps of training at a size: enough tokens to fill the machine, and enough steps for a second or more.
type shape struct {
	size                      string
	batch, prompt, length     int
	updateSteps, supervisions int
	updateTarget              float64
}

var shapes = []shape{ //nolint:gochecknoglobals // a table, never written
	{job.Size1M, 64, 16, 64, 8, 12, 1.4},
	{job.Size10M, 16, 16, 256, 3, 4, 1.2},
	{job.Size100M, 4, 16, 256, 2, 3, 1.15},
}

// draw is one row of sampling; longer ones have fewer tokens, so that a run takes seconds.
type draw struct {
	size       string
	batch, new int
	steps      int
	target     float64
}

var draws = []draw{ //nolint:gochecknoglobals // a table, never written
	{job.Size1M, 1, 256, 5, 5},
	{job.Size1M, 16, 256, 4, 5},
	{job.Size1M, 64, 256, 2, 5},
	{job.Size1M, 256, 256, 2, 5},
	{job.Size10M, 1, 128, 3, 3},
	{job.Size10M, 16, 128, 2, 3},
	{job.Size10M, 64, 128, 1, 3},
	{job.Size10M, 256, 128, 1, 3},
	{job.Size100M, 1, 64, 2, 1.5},
	{job.Size100M, 16, 64, 1, 3},
	{job.Size100M, 64, 64, 1, 3},
}

// plan is everything that is measured, in order. short has shorter steps.
func plan(short bool) []contest {
	both := []string{hone, eager}
	all := []string{hone, eager, compiled}
	sampling := []string{hone, transformers}
	if set, err := kernel.Open(); err == nil && set.BFloat16Kernels() != "go" { // which would take hours
		sampling = append(sampling, bf16, transformersBF16)
	}
	if _, err := kernel.AMX(); err == nil {
		all, sampling = append(all, amx), append(sampling, amx)
	}
	cases := []contest{
		{Job: job.Job{Task: job.Peak, Warmup: 3, Steps: 20}, engines: both},
		{Job: job.Job{Task: job.Bandwidth, Warmup: 1, Steps: 5}, engines: both},
	}
	for _, s := range shapes {
		cases = append(cases, contest{Job: job.Job{Task: job.Check, Size: s.size, Batch: 2, Prompt: 16, New: 48}})
	}
	for _, s := range shapes {
		j := job.Job{Size: s.size, Batch: s.batch, Prompt: s.prompt, New: s.length - s.prompt, Warmup: 1}
		update, supervised := j, j
		update.Task, update.Steps = job.Update, s.updateSteps
		supervised.Task, supervised.Steps = job.Supervised, s.supervisions
		cases = append(cases, contest{update, all, s.updateTarget}, contest{supervised, all, 0})
	}
	for _, d := range draws {
		j := job.Job{Task: job.Sample, Size: d.size, Batch: d.batch, Prompt: 16, New: d.new, Warmup: 1, Steps: d.steps}
		cases = append(cases, contest{j, sampling, d.target})
	}
	if short {
		for i := range cases {
			c := &cases[i]
			c.Steps = min(c.Steps, 2)
			if c.Task == job.Sample {
				c.New = 32
			}
		}
	}
	return cases
}

// targetOf is the target of a job that was measured, whatever its length.
func targetOf(j job.Job) float64 {
	for _, c := range plan(false) {
		if c.Task == j.Task && c.Size == j.Size && c.Batch == j.Batch {
			return c.target
		}
	}
	return 0
}
