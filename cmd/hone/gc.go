package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
)

// leastGrace is the least age of what is deleted: an upload precedes its commit by less, whatever the policy's size.
const leastGrace = time.Hour

// gcFlags are what hone gc is told.
type gcFlags struct {
	keep  storage.Retention
	grace time.Duration
	dry   bool
	save  bool
}

func (a *app) gcCommand() *cobra.Command {
	var f gcFlags
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Give up what runs need not keep, and delete content that nothing refers to",
		Long: `gc applies the retention of this database: it takes weights and optimisers' states from old versions and trajectories from old
cycles, drops the trajectories of runs that ended long ago, and deletes content of the weights' store that nothing refers to and that is
older than --grace.

Without settings everything is kept, and only content goes that no version refers to, such as that of an update which was killed before its
commit. --save keeps the settings in the database, for every later gc; a single one may be changed for once without it. What is always kept:
version 0, the newest version, versions in service, what a cycle under way or another run reads, and every metric, evaluation, setting and
digest.

It may run beside workers, and beside nothing but one gc or backup of the same database at a time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.gc(ctx, s, store, f, cmd.Flags().Changed)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.keep.Weights, "weights", 0, "newest versions of each run that keep their weights; 0 keeps all")
	flags.IntVar(&f.keep.Optimisers, "optimisers", 0,
		"newest versions that keep their optimiser's state, to go back to or fork from; 0 keeps all")
	flags.IntVar(&f.keep.Iterations, "iterations", 0, "newest cycles that keep their trajectories; 0 keeps all")
	flags.DurationVar(&f.keep.Finished, "finished", 0, "time after its end at which a run loses its trajectories, such as 720h; 0 is never")
	flags.DurationVar(&f.grace, "grace", 24*time.Hour, "least age of content that is deleted")
	flags.BoolVar(&f.dry, "dry-run", false, "say what would go, and let nothing go")
	flags.BoolVar(&f.save, "save", false, "keep these settings in the database")
	return cmd
}

// collected is what a gc did.
type collected struct {
	DryRun    bool              `json:"dry_run"`
	Retention storage.Retention `json:"retention"`
	Runs      []storage.Expired `json:"runs"`
	Blobs     storage.Swept     `json:"blobs"`
}

func (a *app) gc(ctx context.Context, s *servers, store *storage.Store, f gcFlags, given func(flag string) bool) error {
	if f.grace < leastGrace {
		return fmt.Errorf("--grace %v: want at least %v, since an update stores its weights before it refers to them: %w",
			f.grace, leastGrace, hone.ErrInvalid)
	}
	keep, err := store.Retention(ctx)
	if err != nil {
		return err
	}
	for flag, set := range map[string]func(){
		"weights":    func() { keep.Weights = f.keep.Weights },
		"optimisers": func() { keep.Optimisers = f.keep.Optimisers },
		"iterations": func() { keep.Iterations = f.keep.Iterations },
		"finished":   func() { keep.Finished = f.keep.Finished },
	} {
		if given(flag) {
			set()
		}
	}
	if err := keep.Validate(); err != nil {
		return err
	}
	if f.save && !f.dry {
		if err := store.SaveRetention(ctx, keep); err != nil {
			return err
		}
	}
	blobs, err := s.openBlobs(ctx)
	if err != nil {
		return err
	}
	c := collected{DryRun: f.dry, Retention: keep}
	if c.Runs, err = store.Expire(ctx, keep, activities.Reads, f.dry); err != nil {
		return err
	}
	if c.Blobs, err = store.Sweep(ctx, blobs, time.Now().Add(-f.grace), f.dry); err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(c)
	}
	a.writeCollected(c, f)
	return nil
}

func (a *app) writeCollected(c collected, f gcFlags) {
	words := func(n int, what string) string {
		if n == 0 {
			return "all " + what
		}
		return fmt.Sprintf("%s of the newest %d", what, n)
	}
	k := c.Retention
	fmt.Fprintf(a.stdout, "keeping   %s, %s, %s\n", words(k.Weights, "weights"), words(k.Optimisers, "optimisers' states"),
		words(k.Iterations, "trajectories"))
	if k.Finished > 0 {
		fmt.Fprintf(a.stdout, "          no trajectories of runs that ended more than %s ago\n", duration(k.Finished))
	}
	for _, r := range c.Runs {
		fmt.Fprintf(a.stdout, "run       %s: %s, %s, %s", r.Name, plural(len(r.Weights), "version")+" lost weights",
			fmt.Sprintf("%d their optimiser's state", len(r.Optimisers)), plural(len(r.Iterations), "cycle")+" their trajectories")
		if r.Partitions {
			fmt.Fprint(a.stdout, " (all)")
		}
		fmt.Fprintln(a.stdout)
	}
	did := "deleted"
	if c.DryRun {
		did = "would delete"
	}
	fmt.Fprintf(a.stdout, "content   %s %s of %.1f MB; kept %d, and %d that nothing refers to and are younger than %s\n",
		did, plural(len(c.Blobs.Deleted), "blob"), float64(c.Blobs.Bytes)/1e6, c.Blobs.Kept, c.Blobs.Young, duration(f.grace))
	if c.DryRun && len(c.Runs) > 0 {
		fmt.Fprintln(a.stdout, "          and the content of what these runs would lose, where it is as old")
	}
}
