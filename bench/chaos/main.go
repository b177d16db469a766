// Command chaos trains a run while it kills what the run stands on, and checks that nothing was lost: workers, learners, Postgres, the
// Temporal server and the process that follows the run die by SIGKILL at random moments, connections are cut and slowed, the disk runs
// full and the database's clock jumps. Beside it, or after it, the same run is trained by one process that nobody disturbs.
//
// It fails unless the run ends by itself, hone verify finds nothing wrong with it, and both runs have the same digest. It ends with a
// table of what each kind of strike cost.
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
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	hone, dir, out     string
	kills, cycles      int
	rollouts, learners int
	shards, hosts      int
	seed               uint64
	spread, patience   time.Duration
	most               time.Duration
	// until is when strikes end, even if there were too few.
	until               time.Time
	diskMB              int
	disk, clock, follow bool
	// pin gives each worker that samples a processor of its own.
	scale, pin bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errUsage is a command line that can't be followed, errBroken a promise that was.
var (
	errUsage  = errors.New("command line")
	errBroken = errors.New("the promise is broken")
)

func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.hone, "hone", "bin/hone", "the program")
	f.StringVar(&o.dir, "dir", "", "folder to work in (default a new one under the system's for temporary files, removed when all went well)")
	f.StringVar(&o.out, "out", "", "file for the report, too")
	f.IntVar(&o.kills, "kills", 200, "how often something is killed; where a run ends before, the next one is begun")
	f.IntVar(&o.cycles, "cycles", 120, "cycles of a run")
	f.IntVar(&o.shards, "shards", 3, "parts of a cycle's sampling")
	f.IntVar(&o.rollouts, "rollouts", 2, "worker processes that sample and score")
	f.IntVar(&o.learners, "learners", 2, "worker processes that train; all but one stand by")
	f.IntVar(&o.hosts, "hosts", 0,
		"network namespaces that workers are dealt to; with them whole hosts are killed and parted from the network (needs root; 0: none)")
	f.Uint64Var(&o.seed, "seed", 1, "of the strikes and of the first run")
	f.DurationVar(&o.spread, "spread", 4*time.Second, "strikes come up to so long after the run has moved on from the last")
	f.DurationVar(&o.patience, "patience", 5*time.Minute, "how long the run may stand still before it has failed")
	f.IntVar(&o.diskMB, "disk-mb", 2000, "size of the disk that runs full, in memory")
	f.BoolVar(&o.disk, "disk", true, "let the disk run full, twice (needs the right to mount one)")
	f.BoolVar(&o.clock, "clock", true, "step the database's clock, three times (needs libfaketime)")
	f.BoolVar(&o.follow, "twin-after", false, "train the undisturbed run after the other instead of beside it")
	f.BoolVar(&o.scale, "scale", false, "disturb nothing, and measure what a second worker process adds, each on a processor of its own")
	f.DurationVar(&o.most, "for", 0, "strike for so long at most, and let the run end then (default as long as it takes)")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if o.kills < 1 || o.cycles < 1 || o.rollouts < 1 || o.learners < 1 || o.shards < 1 || o.spread <= 0 {
		return o, fmt.Errorf("%w: kills, cycles, shards, rollouts, learners and spread must be positive", errUsage)
	}
	if o.most <= 0 {
		o.most = 1000 * time.Hour
	}
	o.until = time.Now().Add(o.most)
	o.hone, err = filepath.Abs(o.hone)
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "hone-chaos-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(o.dir)
			} else {
				fmt.Fprintf(out, "logs and data are in %s\n", o.dir)
			}
		}()
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(o.dir, 0o755); err != nil { // for the account of Postgres
		return err
	}
	if o.scale {
		return scale(ctx, o, out)
	}
	var all []struck
	began := time.Now()
	for number := 0; number == 0 || kills(all) < o.kills && time.Now().Before(o.until); number++ {
		c := &campaign{options: o, number: number, out: out, done: kills(all)}
		strikes, err := c.run(ctx)
		all = append(all, strikes...)
		if err != nil {
			return err
		}
	}
	return report(o, out, all, time.Since(began))
}

// kills counts those among the strikes.
func kills(all []struck) (n int) {
	for _, s := range all {
		if s.kill {
			n++
		}
	}
	return n
}
