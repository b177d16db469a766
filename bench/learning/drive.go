package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// driver trains what is missing.
type driver struct {
	options
	log io.Writer

	mu sync.Mutex
}

// patience is how long an interrupted run may take to stop before it is killed, which it survives as well.
const patience = 15 * time.Second

// drive trains what the plan says and the records lack. A run that fails stops no other: its error comes at the end. An interruption is
// none: records say how far the runs came.
func (d *driver) drive(ctx context.Context) error {
	if err := os.MkdirAll(d.records(), 0o755); err != nil {
		return err
	}
	err := d.all(ctx, plan(d.options))
	if ctx.Err() == nil {
		records, readErr := readRecords(d.records())
		err = errors.Join(err, readErr, d.all(ctx, planWinner(d.options, records)))
	}
	return err
}

// all trains those of the runs that are not finished, a few at a time.
func (d *driver) all(ctx context.Context, specs []spec) error {
	records, err := readRecords(d.records())
	if err != nil {
		return err
	}
	slots := make(chan int, d.parallel)
	cpus := processors()
	for i := range d.parallel {
		slots <- i
	}
	var group errgroup.Group
	var faults []error
	for _, s := range specs {
		if finished(records, s, d.cycles) {
			d.sayf("%s: finished before", s.name())
			continue
		}
		var slot int
		select {
		case slot = <-slots:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			defer func() { slots <- slot }()
			cpu := -1
			if d.pin && len(cpus) > 0 {
				cpu = cpus[slot%len(cpus)]
			}
			if err := d.one(ctx, s, cpu); err != nil {
				d.sayf("%s: %v", s.name(), err)
				d.mu.Lock()
				defer d.mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %w", s.name(), err))
			}
			return nil
		})
	}
	return errors.Join(append(faults, group.Wait())...)
}

// sayf tells a person one thing.
func (d *driver) sayf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.log, format+"\n", args...)
}

// one trains one run as far as time allows, and writes its record.
func (d *driver) one(ctx context.Context, s spec, cpu int) error {
	for _, dir := range []string{d.data(s), filepath.Dir(d.options.log(s))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	d.sayf("%s: start", s.name())
	began := time.Now()
	trainErr := d.train(ctx, s, cpu)
	// The record is written after an interruption too.
	r, err := d.read(context.WithoutCancel(ctx), s)
	switch {
	case err != nil && ctx.Err() != nil:
		d.sayf("%s: stopped before there was anything to record", s.name())
		return nil //nolint:nilerr // a run that was stopped so early has no record
	case err != nil:
		return errors.Join(trainErr, err)
	}
	if err := r.save(d.records()); err != nil {
		return errors.Join(trainErr, err)
	}
	if trainErr != nil && (r.Finished || ctx.Err() != nil) {
		// It was we who stopped it, or it was late in clearing up.
		d.sayf("%s: %v", s.name(), trainErr)
		trainErr = nil
	}
	d.sayf("%s: %d of %d cycles after %.0f s, held-out %.1f %%",
		s.name(), r.Version, r.Cycles, time.Since(began).Seconds(), 100*r.last().accuracy())
	if r.Finished && d.discard {
		return errors.Join(trainErr, os.RemoveAll(d.data(s)))
	}
	return trainErr
}

// train runs hone train to its end, or to that of ctx.
func (d *driver) train(ctx context.Context, s spec, cpu int) (err error) {
	log, err := os.OpenFile(d.options.log(s), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	command := append([]string{d.hone}, s.train(d.options)...)
	if cpu >= 0 {
		command = append([]string{"taskset", "-c", strconv.Itoa(cpu)}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches it through us, once
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("hone train: %w; see %s", err, log.Name())
	}
	return nil
}

// processors are the numbers of those that this process may run on, nil where that isn't known.
func processors() []int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return ranges(strings.TrimSpace(list))
		}
	}
	return nil
}

// ranges reads a list such as 0-3,8.
func ranges(list string) (out []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if errA != nil || errB != nil {
			return nil
		}
		for n := a; n <= b; n++ {
			out = append(out, n)
		}
	}
	return out
}
