// Command engine takes one measurement of hone and prints it as one line of JSON. Package bench/job has its flags and the form of the
// line; bench/compare runs it in turn with bench/engine.py, the same program in PyTorch. It is no part of hone's binary.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// run takes the measurement that args ask for and writes its line.
func run(ctx context.Context, args []string, out io.Writer) error {
	var j job.Job
	var profile, allocs, precision string
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	j.Flags(flags)
	flags.StringVar(&precision, "precision", string(decode.Float32), "precision of sampling: float32 or bf16")
	flags.StringVar(&profile, "profile", "", "file for a CPU profile of the counted steps")
	flags.StringVar(&allocs, "allocs", "", "file for a profile of all heap objects made, from the start on; it slows the steps down")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if allocs != "" {
		runtime.MemProfileRate = 1
	}
	runtime.GOMAXPROCS(j.Threads)
	set, err := kernel.Open()
	if err != nil {
		return err
	}
	b := &bench{Job: j, set: set, profile: profile, precision: decode.Precision(precision)}
	b.result = job.Result{Job: j, Engine: "hone", Figures: map[string]float64{}, About: map[string]string{
		"go": runtime.Version(), "kernels": b.precision.Fingerprint(set.Fingerprint()),
	}}
	if err := b.measure(ctx); err != nil {
		return fmt.Errorf("%v: %w", j, err)
	}
	if allocs != "" {
		if err := saveAllocs(allocs); err != nil {
			return err
		}
	}
	if b.result.PeakBytes, err = peakMemory(); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(b.result); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// bench is one measurement on its way.
type bench struct {
	job.Job

	set     *kernel.Set
	profile string
	// precision is that of sampling.
	precision decode.Precision
	result    job.Result
}

func (b *bench) measure(ctx context.Context) error {
	switch b.Task {
	case job.Update:
		return b.update(ctx)
	case job.Supervised:
		return b.supervised(ctx)
	case job.Sample:
		return b.sample(ctx)
	case job.Peak:
		return b.peak()
	case job.Bandwidth:
		return b.bandwidth()
	case job.Check:
		return b.check(ctx)
	case job.Export:
		return b.export()
	default:
		return fmt.Errorf("task %q is none: %w", b.Task, hone.ErrInvalid)
	}
}

// timed runs step for the warm-up, then for the count, and keeps time and allocations.
func (b *bench) timed(step func() error) (err error) {
	for range b.Warmup {
		if err := step(); err != nil {
			return err
		}
	}
	runtime.GC()
	if b.profile != "" {
		stop, err := startProfile(b.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for range b.Steps {
		if err := step(); err != nil {
			return err
		}
	}
	b.result.Seconds = time.Since(began).Seconds()
	runtime.ReadMemStats(&after)
	b.result.Allocs = float64(after.Mallocs-before.Mallocs) / float64(b.Steps)
	return nil
}

// startProfile writes a CPU profile until stop is called.
func startProfile(name string) (stop func() error, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("start profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// saveAllocs writes where heap objects were made.
func saveAllocs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	runtime.GC() // the profile ends with the last collection but one
	runtime.GC()
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		return errors.Join(fmt.Errorf("write profile: %w", err), f.Close())
	}
	return f.Close()
}
