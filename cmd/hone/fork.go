package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// forkFlags are what hone fork is told.
type forkFlags struct {
	version, cycles int
	run             string
	set             []string
	restart         bool
	yao             string
}

func (a *app) forkCommand() *cobra.Command {
	f := forkFlags{}
	cmd := &cobra.Command{
		Use:   "fork RUN --run NAME [--version N] [--set PATH=VALUE]",
		Short: "Make a new run that goes on from a version of another",
		Long: `fork makes a run that has another run's versions up to one and goes on from there by hone train --run NAME. With nothing changed it
ends in the same bytes as its parent; --set changes anything but the policy's shape. Weights and trajectories are not copied.

With --restart the version is the new run's supervised start: cycles, schedules and the divergence are counted from it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.version < -1 || f.cycles < 0 {
				return fmt.Errorf("--version %d, --cycles %d: want numbers of at least 0: %w", f.version, f.cycles, hone.ErrInvalid)
			}
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.fork(ctx, s, store, args[0], f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "name of the new run (required)")
	flags.IntVar(&f.version, "version", -1, "version to go on from; 0 is the supervised start (default: the newest)")
	flags.StringArrayVar(&f.set, "set", nil, "change one field: path=value, such as ppo.kl_coef=0.02; may be repeated")
	flags.IntVar(&f.cycles, "cycles", 0, "number of cycles of the whole new run (default: as the parent was last started with)")
	flags.BoolVar(&f.restart, "restart", false, "count cycles anew, and measure divergence from the version")
	flags.StringVar(&f.yao, "yao", "", "24.csv of Yao et al. 2023 (default $HONE_SHARED/data/game24/24.csv)")
	if err := cmd.MarkFlagRequired("run"); err != nil {
		panic("the flag was just added: " + err.Error())
	}
	return cmd
}

func (a *app) fork(ctx context.Context, s *servers, store *storage.Store, parent string, f forkFlags) error {
	l, err := a.load(ctx, s, store, parent, f.yao)
	if err != nil {
		return err
	}
	defer l.unwatch()
	version, err := l.version(ctx, store, f.version)
	if err != nil {
		return err
	}
	job, _, err := activities.NewInspector(l.activities).Settings(ctx, l.run.ID, version)
	if err != nil {
		return err
	}
	c := config{Job: job, Plan: workflows.DefaultPlan()}
	c.Plan.Cycles = job.Cycles
	if last := s.data.lastConfig(l.run.Name); last != nil {
		c.Plan = last.Plan
	}
	if f.cycles > 0 {
		c.Plan.Cycles = f.cycles
		if f.restart {
			c.Cycles = f.cycles
		}
	}
	var faults []error
	for _, assignment := range f.set {
		one, err := setLayer(assignment)
		if err == nil {
			err = one.over(&c)
		}
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if err := errors.Join(c.Validate(), workflows.TrainInput{Run: f.run, Plan: c.Plan}.Validate()); err != nil {
		return err
	}
	raw, err := c.job()
	if err != nil {
		return err
	}
	out, err := l.activities.Fork(ctx, activities.ForkInput{
		Parent: l.run.ID, Version: version, Name: f.run, Config: raw, Restart: f.restart,
	})
	if err != nil {
		return withoutEnvelope(err)
	}
	if err := errors.Join(c.save(s.data.config(f.run)), savePuzzles(s.data.puzzles(f.run), l.kept)); err != nil {
		return s.data.fail(err)
	}
	if a.json {
		return a.writeJSON(struct {
			Run     string `json:"run"`
			Parent  string `json:"parent"`
			Version int    `json:"version"`
			Head    int    `json:"head"`
		}{f.run, l.run.Name, version, out.Version})
	}
	fmt.Fprintf(a.stdout, "run %s goes on from version %d of %s, with %d of %d cycles done: %s\n",
		f.run, version, l.run.Name, out.Version, c.Plan.Cycles, a.propose("train", "--run", f.run))
	return nil
}

func (a *app) rollbackCommand() *cobra.Command {
	version, yao := 0, ""
	cmd := &cobra.Command{
		Use:   "rollback RUN --version N",
		Short: "Let a run go on from an older version",
		Long: `rollback makes the content of an older version the run's next version, after the cycle under way where there is one. No version,
trajectory or metric is lost, and the cycles that follow sample anew. It takes the place
of one cycle; with rollout.staleness, of as many more as may have been sampled ahead, so that what follows doesn't depend on which were.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.rollback(ctx, s, store, args[0], version, yao)
			})
		},
	}
	cmd.Flags().IntVar(&version, "version", 0, "the version to go back to; 0 is the supervised start (required)")
	cmd.Flags().StringVar(&yao, "yao", "", "24.csv of Yao et al. 2023 (default $HONE_SHARED/data/game24/24.csv)")
	if err := cmd.MarkFlagRequired("version"); err != nil {
		panic("the flag was just added: " + err.Error())
	}
	return cmd
}

func (a *app) rollback(ctx context.Context, s *servers, store *storage.Store, name string, version int, yao string) error {
	run, err := a.runOf(ctx, store, name)
	if err != nil {
		return err
	}
	progress, err := asked(ctx, s, run.Name, func(ctx context.Context, c client.Client, run string) (workflows.Progress, error) {
		return workflows.RollBack(ctx, c, run, version)
	})
	if err == nil {
		return a.showProgress(progress)
	}
	if !errors.Is(err, errNobody) {
		return err
	}
	l, err := a.load(ctx, s, store, name, yao)
	if err != nil {
		return err
	}
	defer l.unwatch()
	head, err := l.version(ctx, store, -1)
	if err != nil {
		return err
	}
	out, err := l.activities.RollBack(ctx, activities.RollBackInput{Run: run.ID, From: head, To: version})
	if err != nil {
		return withoutEnvelope(err)
	}
	if a.json {
		return a.writeJSON(out)
	}
	fmt.Fprintf(a.stdout, "run %s: version %d has the content of version %d; to go on: %s\n",
		run.Name, out.Version, version, a.propose("train", "--run", run.Name))
	return nil
}
