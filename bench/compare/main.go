// Command compare runs hone (bench/engine) and its twin in PyTorch (bench/engine.py) in turn on this machine and writes what it found as
// a table in Markdown. Every measurement is a process of its own; of each there are several, hone's, eager PyTorch's and compiled PyTorch's
// one after the other, and the table gives their medians.
//
// PyTorch lives in a virtual environment that compare makes from bench/requirements.txt. Where that can't be made, compare says why
// and measures nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hone-rl/hone/bench/job"
)

// options are the command line.
type options struct {
	short  bool
	render bool
	resume bool
	reps   int
	tasks  string
	sizes  string
	engine string
	remark string
	python string
	work   string
	out    string
}

// minReps is the fewest repetitions that a table may rest on; a smoke test takes fewer.
const (
	minReps   = 5
	shortReps = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.BoolVar(&o.short, "short", false, "the smallest policy, few repetitions: a smoke test, whose table goes to the work folder")
	f.BoolVar(&o.render, "render", false, "measure nothing; write the table of what was measured last")
	f.BoolVar(&o.resume, "resume", false, "keep what was measured last, at the same commit, and measure the rest")
	f.IntVar(&o.reps, "reps", minReps, "repetitions of each measurement")
	f.StringVar(&o.tasks, "tasks", "", "only these tasks, separated by commas")
	f.StringVar(&o.sizes, "sizes", "", "only these sizes, separated by commas")
	f.StringVar(&o.engine, "engine", "bin/bench-engine", "hone's side, built from bench/engine")
	f.StringVar(&o.python, "python", "python3", "the Python to make the virtual environment with, 3.11 or newer")
	f.StringVar(&o.work, "work", ".tools/bench", "folder for the virtual environment, weights and raw results")
	f.StringVar(&o.remark, "remark", "", "a sentence for the page, if the figures are taken in another way than usual")
	f.StringVar(&o.out, "out", "doc/bench/engine.md", "file for the table")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	raw := filepath.Join(o.work, "engine.jsonl")
	if o.short {
		o.reps, o.sizes = shortReps, job.Size1M
		raw, o.out = filepath.Join(o.work, "short.jsonl"), filepath.Join(o.work, "short.md")
	}
	if !o.render {
		if err := measure(ctx, o, raw, out); err != nil {
			return err
		}
	}
	runs, err := readRuns(raw)
	if err != nil {
		return err
	}
	page, err := render(runs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, []byte(page), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s from %s\n", o.out, raw)
	return failures(runs)
}

// measure works the plan off and writes every run to the raw file as it ends.
func measure(ctx context.Context, o options, raw string, out io.Writer) error {
	work, err := filepath.Abs(o.work)
	if err != nil {
		return err
	}
	r := runner{work: work, engine: o.engine, out: out, threads: runtime.NumCPU(), hasty: o.short}
	if r.python, err = install(ctx, o.python, work, out); err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if o.resume {
		flags = os.O_APPEND | os.O_WRONLY
		if r.done, err = measuredAlready(ctx, raw); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(raw, flags, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	r.raw = file
	if !o.resume {
		if err := r.note(ctx, o); err != nil {
			return err
		}
	}
	cases := plan(o.short)
	kept := cases[:0]
	for _, c := range cases {
		if wanted(o.tasks, string(c.Task)) && (c.Size == "" || wanted(o.sizes, c.Size)) {
			kept = append(kept, c)
		}
	}
	return r.all(ctx, kept, o.reps)
}

// wanted tells whether a list separated by commas has the word; an empty list has all.
func wanted(list, word string) bool {
	return list == "" || strings.Contains(","+list+",", ","+word+",")
}
