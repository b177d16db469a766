// Command learning compares ways to learn at equal generated tokens: it trains every method on every task with every seed by hone train,
// reads what was measured from hone status, and writes a page with a table and curves.
//
// It keeps nothing of its own but a small record a run, in JSON. What was interrupted, here or on another machine, goes on where it
// was, by hone's own means; records made elsewhere are merged by copying them into the same folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	hone, pgBin, yao string
	dir, out         string
	machine          string
	tasks, methods   []string
	seeds            []int
	cycles           int
	parallel         int
	pin, discard     bool
	limit            time.Duration
	short            bool
	reportOnly       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "learning:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	if !o.reportOnly {
		if o.limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, o.limit)
			defer cancel()
		}
		// What failed is said at the end: the others' records make a page all the same.
		err = (&driver{options: o, log: out}).drive(ctx)
	}
	records, readErr := readRecords(o.records())
	if readErr != nil || len(records) == 0 {
		return errors.Join(err, readErr, fmt.Errorf("no records in %s: %w", o.records(), errNothing))
	}
	return errors.Join(err, write(o, records, out))
}

// errNothing is a folder without anything to report.
var errNothing = errors.New("nothing was measured yet")

// errUsage is a command line that can't be followed.
var errUsage = errors.New("command line")

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var tasks, methods, seeds string
	f := flag.NewFlagSet("learning", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.hone, "hone", "bin/hone", "the program that trains")
	f.StringVar(&o.pgBin, "pg-bin", "", "folder of postgres and initdb, handed on to hone")
	f.StringVar(&o.yao, "yao", "", "24.csv, whose test puzzles are kept out of training, handed on to hone")
	f.StringVar(&o.dir, "dir", ".tools/learning", "folder of the runs' data, logs and records")
	f.StringVar(&o.out, "out", "doc/bench", "folder for learning.md and its curves")
	f.StringVar(&o.machine, "machine", "", "where the runs were trained, in words, for the page: records don't know")
	f.StringVar(&tasks, "tasks", strings.Join(namesOf(tasksAll()), ","), "tasks, separated by commas")
	f.StringVar(&methods, "methods", strings.Join(namesOf(methodsAll()), ","),
		"methods; a task with rows of its own takes those of them that it compares, and the winner of the first task")
	f.StringVar(&seeds, "seeds", "1,2,3", "seeds")
	f.IntVar(&o.cycles, "cycles", 60, "cycles of each run, over which its learning rate is laid; runs of other lengths are other runs")
	f.IntVar(&o.parallel, "parallel", 1, "runs at a time, each with GOMAXPROCS=1: the bits don't depend on it")
	f.BoolVar(&o.pin, "pin", false, "give each run a processor of its own (needs taskset)")
	f.BoolVar(&o.discard, "discard", false, "delete a finished run's data once its record is written")
	f.DurationVar(&o.limit, "limit", 0, "interrupt what still runs after this time, write its record, and end; 0 is no limit")
	f.BoolVar(&o.short, "short", false, "tiny runs: a smoke test, whose page goes to the folder of the runs")
	f.BoolVar(&o.reportOnly, "report-only", false, "train nothing; write the page of the records there are")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.short {
		o.cycles, seeds, o.dir = shortCycles, "1", filepath.Join(o.dir, "short")
		o.out = o.dir
	}
	var faults []error
	pick := func(flag, list string, known []string) []string {
		chosen := strings.Split(list, ",")
		for _, name := range chosen {
			if !slices.Contains(known, name) {
				faults = append(faults, fmt.Errorf("%w: -%s %q: want some of %s", errUsage, flag, name, strings.Join(known, ",")))
			}
		}
		return chosen
	}
	o.tasks = pick("tasks", tasks, namesOf(tasksAll()))
	o.methods = pick("methods", methods, namesOf(methodsAll()))
	for s := range strings.SplitSeq(seeds, ",") {
		seed, err := strconv.Atoi(s)
		if err != nil || seed < 0 {
			faults = append(faults, fmt.Errorf("%w: -seeds %q: want whole numbers", errUsage, s))
		}
		o.seeds = append(o.seeds, seed)
	}
	if o.cycles < 1 || o.parallel < 1 || f.NArg() > 0 {
		faults = append(faults, fmt.Errorf("%w: %d cycles, %d in parallel, arguments %q: want at least 1 each, and no arguments",
			errUsage, o.cycles, o.parallel, f.Args()))
	}
	return o, errors.Join(faults...)
}

// The folders under -dir.
func (o options) records() string { return filepath.Join(o.dir, "records") }

func (o options) data(r spec) string { return filepath.Join(o.dir, "data", r.name()) }

func (o options) log(r spec) string { return filepath.Join(o.dir, "log", r.name()+".log") }
