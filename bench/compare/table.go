package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone/bench/job"
)

// errNothing is a raw file without what a table needs.
var errNothing = errors.New("no measurements to make a table of")

// report is a page on its way.
type report struct {
	strings.Builder

	note note
	runs []measured
}

// render is the page for the runs of one raw file, whose first line is the note.
func render(runs []measured) (string, error) {
	if len(runs) < 2 || runs[0].Note == nil {
		return "", errNothing
	}
	r := &report{note: *runs[0].Note, runs: runs[1:]}
	r.head()
	r.training()
	r.sampling()
	if err := r.limits(); err != nil {
		return "", err
	}
	r.memory()
	r.checks()
	return r.String(), nil
}

// prose writes a paragraph as it stands, less the white space around it.
func (r *report) prose(text string) {
	r.WriteString(strings.TrimSpace(text) + "\n\n")
}

// table begins a table with columns of these names.
func (r *report) table(columns ...string) {
	r.row(columns...)
	r.row(slices.Repeat([]string{"---"}, len(columns))...)
}

// row writes one row of a table.
func (r *report) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", "/")
	}
	r.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// of is the figures of one contestant in a job.
func (r *report) of(j job.Job, engine string, figure func(measured) float64) spread {
	var values []float64
	for _, m := range r.runs {
		if m.Job == j && m.Engine == engine && m.Error == "" && !m.Disturbed {
			values = append(values, figure(m))
		}
	}
	return spreadOf(values)
}

// jobs are the different jobs of the tasks, in the order in which they were measured.
func (r *report) jobs(tasks ...job.Task) []job.Job {
	var out []job.Job
	for _, m := range r.runs {
		if slices.Contains(tasks, m.Task) && !slices.Contains(out, m.Job) {
			out = append(out, m.Job)
		}
	}
	return out
}

func rate(m measured) float64 { return m.Rate() }

// figure picks a named figure.
func figure(name string) func(measured) float64 {
	return func(m measured) float64 { return m.Figures[name] }
}

func (r *report) head() {
	r.prose("# The engine against PyTorch")
	r.prose(fmt.Sprintf(`
Written by `+"`%s`"+`; not edited. hone (`+"`bench/engine`) and the same program in PyTorch (`bench/engine.py`"+`) on one machine,
%d processes each, in turn, every round beginning with another contestant. Figures are medians (least–most). Same weights, tokens,
optimiser (AdamW, same rates and clip) and threads. PyTorch has fused projections, attention and AdamW, and runs eager and through
`+"`torch.compile`; sampling is transformers' `generate`"+` with its cache. Where the processor has AMX, hone runs with
`+"`HONE_KERNELS=amx` too"+`, which splits each number of a product into two bfloat16: its products are good to 2^-16, those of
others here to 2^-24. Sampling runs with `+"`rollout.precision: bf16`"+` too: weights, keys
and values are one bfloat16 each, good to 2^-9; and transformers with its model in bfloat16, activations and all.`,
		r.note.Command, r.note.Reps))
	if r.note.Remark != "" {
		r.prose("\n" + r.note.Remark)
	}
	about := map[string]string{}
	var foreign []float64
	again := 0
	for _, m := range r.runs {
		maps.Copy(about, m.About)
		if m.Disturbed {
			again++
			continue
		}
		foreign = append(foreign, 100*m.Foreign)
	}
	r.table("", "")
	r.row("commit, date", "`"+r.note.Commit+"`, "+r.note.Date)
	r.row("machine", r.note.Machine)
	r.row("threads", strconv.Itoa(r.note.Threads))
	for _, name := range slices.Sorted(maps.Keys(about)) {
		r.row(name, about[name])
	}
	s := spreadOf(foreign)
	r.row("others' use of the processors", fmt.Sprintf("median %.1f %%, at most %.0f %% while a contestant ran; load average at the start %s",
		s.median, s.most, r.note.Load))
	r.row("runs taken again for that", strconv.Itoa(again))
	r.WriteString("\n")
	if s.median > 100*disturbed {
		r.prose("**Others used the machine while this was measured: the figures show that the comparison runs, and nothing else.**")
	}
}

// verdict is a ratio and what it was meant to be.
func verdict(ratio, target float64) (shown, wanted string) {
	switch {
	case target == 0:
		return short(ratio), ""
	case math.IsNaN(ratio):
		return short(ratio), fmt.Sprintf("≥ %g", target)
	case ratio >= target:
		return "**" + short(ratio) + "**", fmt.Sprintf("≥ %g: met", target)
	default:
		return "**" + short(ratio) + "**", fmt.Sprintf("≥ %g: missed", target)
	}
}

func (r *report) training() {
	r.prose("## Training, tokens/s")
	r.prose(`
An update is the policy's own scores, the reference's, advantages, the clipped loss forward and backward, AdamW. A supervised step is
the cross-entropy forward and backward, AdamW. Prompts count.`)
	r.table("step", "policy", "sequences", "hone", "eager", "compiled", "hone/eager", "target", "hone/compiled",
		"hone, amx", "amx/eager", "amx/compiled")
	for _, j := range r.jobs(job.Update, job.Supervised) {
		h, e, c, a := r.of(j, hone, rate), r.of(j, eager, rate), r.of(j, compiled, rate), r.of(j, amx, rate)
		ratio, target := verdict(h.median/e.median, targetOf(j))
		r.row(string(j.Task), j.Size, fmt.Sprintf("%d × %d", j.Batch, j.Length()), h.String(), e.String(), c.String(),
			ratio, target, short(h.median/c.median), a.String(), short(a.median/e.median), short(a.median/c.median))
	}
	r.WriteString("\n")
}

func (r *report) sampling() {
	r.prose("## Sampling, new tokens/s")
	r.prose("Every prompt is new; temperature 1, no cuts, no end of sequence. hone gives each token's log-probability and value with it.")
	r.table("policy", "sequences", "tokens", "hone", "transformers", "hone/transformers", "target",
		"hone, bf16", "bf16/transformers", "transformers, bf16", "bf16/bf16", "hone, amx", "amx/transformers")
	for _, j := range r.jobs(job.Sample) {
		h, t, a := r.of(j, hone, rate), r.of(j, transformers, rate), r.of(j, amx, rate)
		b, tb := r.of(j, bf16, rate), r.of(j, transformersBF16, rate)
		ratio, target := verdict(h.median/t.median, targetOf(j))
		r.row(j.Size, strconv.Itoa(j.Batch), fmt.Sprintf("%d + %d", j.Prompt, j.New), h.String(), t.String(), ratio, target,
			b.String(), short(b.median/t.median), tb.String(), short(b.median/tb.median), a.String(), short(a.median/t.median))
	}
	r.WriteString("\n")
}
