// Command search compares ways to answer at equal generated tokens: it has hone eval answer the same problems by every way, within
// every budget, with every run, and writes a page with tables and a picture.
//
// It keeps a small record a measurement, in JSON, and hone keeps the answers, so what was interrupted goes on where it was, and records
// made elsewhere are merged by copying them into the same folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	hone, dataDir, pgBin, yao string
	dir, out                  string
	runs, methods             []string
	// values are the runs' process-value models; empty for their own value heads.
	values               []string
	budgets              []int
	version, limit       int
	split                string
	verified, reportOnly bool
	short                bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "search:", err)
		os.Exit(1)
	}
}

// errUsage is a command line that can't be followed, errNothing a folder without anything to report, errOverspent a way that goes over its
// budget, errWorse a smoke test that says nothing or too little.
var (
	errUsage     = errors.New("command line")
	errNothing   = errors.New("nothing was measured yet")
	errOverspent = errors.New("more tokens than allowed")
	errWorse     = errors.New("worse than it must be")
)

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	if o.short && !o.reportOnly {
		if err := o.trainShort(ctx, out); err != nil {
			return err
		}
	}
	if !o.reportOnly {
		// What failed is said at the end: the others' records make a page all the same.
		err = o.measureAll(ctx, out)
	}
	records, readErr := readRecords(o.dir)
	if readErr != nil || len(records) == 0 {
		return errors.Join(err, readErr, fmt.Errorf("no records in %s: %w", o.dir, errNothing))
	}
	if o.short {
		err = errors.Join(err, checkShort(records))
	}
	return errors.Join(err, write(o.out, records))
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var runs, names, budgets, values string
	f := flag.NewFlagSet("search", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.hone, "hone", "bin/hone", "the program that answers")
	f.StringVar(&o.dataDir, "data-dir", "", "folder of the runs, handed on to hone")
	f.StringVar(&o.pgBin, "pg-bin", "", "folder of postgres and initdb, handed on to hone")
	f.StringVar(&o.yao, "yao", "", "24.csv, handed on to hone")
	f.StringVar(&o.dir, "dir", ".tools/search", "folder of the records")
	f.StringVar(&o.out, "out", "doc/bench", "folder for search.md and its picture")
	f.StringVar(&runs, "runs", "demo-1", "names of the runs whose policies answer, one a seed, separated by commas")
	f.StringVar(&names, "methods", strings.Join(methodNames(), ","), "methods, separated by commas")
	f.StringVar(&budgets, "budgets", "150,300,600,1200,2000", "most generated tokens a problem, separated by commas")
	f.StringVar(&values, "values", "", "digests of process-value models to go by, one a run in their order, separated by commas")
	f.IntVar(&o.version, "version", -1, "policy version; -1 is each run's newest")
	f.StringVar(&o.split, "split", "heldout", "problems: heldout, train or yao2023")
	f.IntVar(&o.limit, "limit", 0, "number of problems; 0 means all")
	f.BoolVar(&o.verified, "verified", false, "check each finished answer as it is found, in all methods but greedy and majority")
	f.BoolVar(&o.reportOnly, "report", false, "measure nothing, write the page of what there is")
	f.BoolVar(&o.short, "short", false, "train a policy of seconds and measure it: a smoke test, whose page goes to the folder of the records")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.short {
		o.shorten()
		runs, budgets = shortRun, shortBudget
	}
	o.runs, o.methods = strings.Split(runs, ","), strings.Split(names, ",")
	if values != "" {
		if o.values = strings.Split(values, ","); len(o.values) != len(o.runs) {
			return o, fmt.Errorf("%d values for %d runs: want one for each: %w", len(o.values), len(o.runs), errUsage)
		}
	}
	for _, name := range o.methods {
		if _, ok := methodOf(name); !ok {
			return o, fmt.Errorf("method %q: want some of %v: %w", name, methodNames(), errUsage)
		}
	}
	for text := range strings.SplitSeq(budgets, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("budget %q: want a number of at least 1: %w", text, errUsage)
		}
		o.budgets = append(o.budgets, n)
	}
	return o, nil
}
