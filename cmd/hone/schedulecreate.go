package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// createFlags are what hone schedule create is told.
type createFlags struct {
	in      workflows.ScheduleInput
	run     string
	version int
	overlap string
	set     []string
	table   activities.Table
}

func (a *app) scheduleCreateCommand() *cobra.Command {
	f := createFlags{in: workflows.ScheduleInput{Tune: workflows.DefaultTuneInput()}}
	cmd := &cobra.Command{
		Use:   "create NAME --run RUN (--problems DIR | --problems-table TABLE | --from-run RUN) (--cron TIME | --every INTERVAL)",
		Short: "Make a schedule, and a service of its name that uses a version of a run",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.in.Tune.Service, f.in.Overlap = args[0], workflows.Overlap(f.overlap)
			if dir := &f.in.Tune.Source.Dir; *dir != "" {
				whole, err := filepath.Abs(*dir)
				if err != nil {
					return fmt.Errorf("--problems: %w", err)
				}
				*dir = whole
			}
			if f.table.Name != "" {
				f.in.Tune.Source.Table = &f.table
			}
			if err := f.in.Validate(); err != nil {
				return err
			}
			return a.scheduling(cmd.Context(), accessWrite, func(ctx context.Context, c client.Client, store *storage.Store) error {
				return a.createSchedule(ctx, c, store, f)
			})
		},
	}
	t := &f.in.Tune
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "the run whose version the service uses at first (not for a service that has one)")
	flags.IntVar(&f.version, "version", -1, "that version (default: the newest)")
	flags.StringVar(&t.Source.Dir, "problems", "", `folder of new problems, as the workers see it: files *.jsonl of {"problem": ...}`)
	flags.StringVar(&f.table.Name, "problems-table", "", "table of new problems instead, a row each: name or schema.name")
	flags.StringVar(&f.table.Column, "problems-column", "problem", "the table's column that has them")
	flags.StringVar(&f.table.AddressFrom, "problems-database-from", "",
		"environment variable of the workers with the address of the table's database (default: the table is in hone's own)")
	flags.StringVar(&t.Source.Run, "from-run", "", "take the problems that a run has sampled instead")
	flags.StringArrayVar(&f.in.Crons, "cron", nil, `when, such as "0 3 * * *" for every night at three; may be repeated`)
	flags.StringVar(&f.in.Timezone, "timezone", "", "where that is, such as Europe/Berlin (default UTC)")
	flags.DurationVar(&f.in.Every, "every", 0, "how often, such as 24h")
	flags.StringVar(&f.overlap, "overlap", string(workflows.OverlapSkip),
		fmt.Sprintf("what to do when the last firing is still at work: %v", workflows.Overlaps()))
	flags.DurationVar(&f.in.CatchUp, "catch-up", workflows.DefaultCatchUp,
		"how late a firing may be that was missed while the server was away")
	flags.BoolVar(&f.in.Paused, "paused", false, "fire by hand alone, until unpaused")
	flags.IntVar(&t.Cycles, "cycles", t.Cycles, "cycles to train a firing")
	flags.StringArrayVar(&f.set, "set", nil, "a field of the job that is another than in the run: path=value; may be repeated")
	flags.Float64Var(&t.Replay, "replay", t.Replay, "old problems trained on beside each new one")
	flags.IntVar(&t.Least, "least", t.Least, "skip with fewer new problems")
	flags.Float64Var(&t.MinDrift, "min-drift", t.MinDrift, "skip where no feature of the problems has drifted by so many nats")
	flags.StringVar((*string)(&t.Measure.Split), "split", string(t.Measure.Split), "the problems that both policies answer")
	flags.StringVar((*string)(&t.Measure.Mode), "mode", string(t.Measure.Mode), "how they answer, as in hone eval")
	flags.IntVar(&t.Measure.Limit, "limit", t.Measure.Limit, "how many problems, chosen by the run's seed; 0 means all")
	flags.Float64Var(&t.Alpha, "alpha", t.Alpha, "publish what is so good by chance with at most this probability")
	flags.IntVar(&t.Keep, "keep", t.Keep, "published policies that are kept")
	flags.IntVar(&t.Shards, "shards", t.Shards, "activities that a cycle's rollout is divided into")
	flags.IntVar(&t.Parallel, "parallel", t.Parallel, "how many of them run at once")
	return cmd
}

func (a *app) createSchedule(ctx context.Context, c client.Client, store *storage.Store, f createFlags) error {
	use, err := a.firstPolicy(ctx, store, f)
	if err != nil {
		return err
	}
	run, err := store.Run(ctx, use.Run)
	if err != nil {
		return err
	}
	job, err := storedJob(run.Config)
	if err != nil {
		return fmt.Errorf("run %s: %w", run.Name, err)
	}
	if f.in.Tune.Set, err = readSettings(job, f.set); err != nil {
		return err
	}
	if t := f.in.Tune.Source.Table; t != nil && t.AddressFrom == "" {
		if _, _, err := store.Texts(ctx, storage.Column{Table: t.Name, Name: t.Column}); err != nil {
			return err
		}
	}
	if err := workflows.CreateSchedule(ctx, c, f.in); err != nil {
		return err
	}
	s, _, err := workflows.ReadSchedule(ctx, c, f.in.Tune.Service)
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(s)
	}
	when := "by hand: " + a.propose("schedule", "trigger", s.Name)
	if len(s.Next) > 0 && !s.Paused {
		when = "first at " + s.Next[0].Local().Format(time.DateTime)
	}
	fmt.Fprintf(a.stdout, "schedule %s: it fires %s; the service uses version %d of run %s\n", s.Name, when, use.Version, run.Name)
	return nil
}

// firstPolicy is what the service uses, which is recorded where it is new.
func (a *app) firstPolicy(ctx context.Context, store *storage.Store, f createFlags) (storage.Publication, error) {
	service := f.in.Tune.Service
	use, err := store.InService(ctx, service)
	switch {
	case err == nil && f.run != "" && use.Run != storage.RunIDOf(f.run):
		return use, fmt.Errorf("service %s has a policy already; leave --run away to go on from it: %w", service, hone.ErrConflict)
	case err == nil:
		return use, nil
	case !errors.Is(err, hone.ErrNotFound):
		return use, err
	case f.run == "":
		return use, fmt.Errorf("service %s is new; say which policy it uses at first with --run: %w", service, hone.ErrInvalid)
	}
	run, err := a.runOf(ctx, store, f.run)
	if err != nil {
		return use, err
	}
	version, err := (&loaded{run: run}).version(ctx, store, f.version)
	if err != nil {
		return use, err
	}
	return store.SavePublication(ctx, storage.Publication{
		Service: service, Request: "hone schedule create", State: storage.Published, Reason: "the first one", Run: run.ID, Version: version,
		Details: []byte("{}"),
	}, f.in.Tune.Keep)
}
