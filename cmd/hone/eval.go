package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task/game24"
)

// evalFlags are what hone eval is told.
type evalFlags struct {
	run     string
	version int
	split   string
	mode    string
	limit   int
	yao     string
	// calibration measures the value head instead.
	calibration bool
	spendFlags
}

// spendFlags say how a budget of generated tokens is spent.
type spendFlags struct {
	search   string
	budget   int
	verified bool
	leaves   int
	unshared bool
	// value is the digest of a process-value model.
	value string
}

// add adds the flags that eval and solve share.
func (f *spendFlags) add(cmd *cobra.Command, search string) {
	flags := cmd.Flags()
	flags.StringVar(&f.search, "search", "", search)
	flags.IntVar(&f.budget, "budget", 0, "most tokens to generate for a problem, all candidates counted")
	flags.BoolVar(&f.verified, "verified", false, "check each finished answer as it is found, as one may where checking is free")
	flags.IntVar(&f.leaves, "leaves", 0, "with --search puct or gumbel, walks under way in a tree at once (default: as the run has it)")
	flags.BoolVar(&f.unshared, "unshared", false, "with --search puct or gumbel, let each branch keep its own states")
	flags.StringVar(&f.value, "value", "", "process-value model to go by instead of the value head: the digest that hone value train prints")
}

// ways are the values of --search that take a budget.
func ways() string {
	var names []string
	for _, mode := range rollout.Spending() {
		names = append(names, string(mode))
	}
	return strings.Join(names, ", ")
}

// check refuses flags that say how a search goes where none is asked for.
func (f *spendFlags) check() error {
	if f.search == "" && f.value != "" {
		return fmt.Errorf("--value %s without --search: it says where a search goes: %w", f.value, hone.ErrInvalid)
	}
	if f.search == "" && (f.budget != 0 || f.leaves != 0 || f.unshared) {
		return fmt.Errorf("--budget %d, --leaves %d, --unshared %v without --search: they say how a search goes; want --search and one of %s: %w",
			f.budget, f.leaves, f.unshared, ways(), hone.ErrInvalid)
	}
	return nil
}

// mode is the mode of evaluation that the flags ask for.
func (f *spendFlags) mode() (activities.Spending, error) {
	value, err := valueDigest(f.value)
	if err != nil {
		return activities.Spending{}, err
	}
	s := activities.Spending{
		Way: rollout.Mode(f.search), Verified: f.verified, Leaves: f.leaves, Unshared: f.unshared, Budget: f.budget, Value: value,
	}
	if s.Way == rollout.ModeSearch && f.budget == 0 {
		if value != "" {
			return s, fmt.Errorf("--value with --search and no --budget: want --budget and one of %s: %w", ways(), hone.ErrInvalid)
		}
		return s, nil
	}
	if f.budget < 1 || f.leaves < 0 {
		return s, fmt.Errorf("--search %s with --budget %d, --leaves %d: want one of %s, and a budget of at least 1 token: %w",
			f.search, f.budget, f.leaves, ways(), hone.ErrInvalid)
	}
	return activities.ParseMode(s.Mode())
}

func (a *app) evalCommand() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure the accuracy of a policy version",
		Long: `eval answers the problems of a split and stores the answers; what was measured before is returned as it is stored. Splits: heldout,
train, and yao2023 (the hundred Game of 24 puzzles of Yao et al. 2023) for runs that kept those out of training. Modes: greedy; search,
guided by the policy and its value head alone; verified, a search in which each finished answer is checked.

--search spends a budget of generated tokens instead, by one of: ` + ways() + `.

--value has the search go by a process-value model instead of the policy's value head; see hone value train.

--calibration measures the value head instead, or the model of --value: it samples the problems, a group each, and sets what the head
says at the end of each step against how many of those samples were right in the end. Brier is the mean square of what it was wrong by,
climate what one number for all would have, skill what is better than that, and ECE how far a range of values is off on the average.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.version < -1 || f.limit < 0 {
				return fmt.Errorf("--version %d, --limit %d: want numbers of at least 0: %w", f.version, f.limit, hone.ErrInvalid)
			}
			spend := f.spendFlags
			if f.calibration {
				spend.value = "" // which is what is measured then
			}
			if err := spend.check(); err != nil {
				return err
			}
			if f.calibration && (f.search != "" || f.verified || cmd.Flags().Changed("mode")) {
				return fmt.Errorf("--calibration with --mode, --search or --verified: it samples, want it alone: %w", hone.ErrInvalid)
			}
			if f.search != "" {
				how, err := f.spendFlags.mode()
				if err != nil {
					return err
				}
				f.mode = string(how.Mode())
			}
			if _, err := activities.ParseMode(activities.Mode(f.mode)); err != nil {
				return fmt.Errorf("--mode: %w", err)
			}
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.eval(ctx, s, store, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "name of the run (default: the newest)")
	flags.IntVar(&f.version, "version", -1, "policy version; 0 is the supervised start (default: the newest)")
	flags.StringVar(&f.split, "split", string(hone.SplitHeldOut), "problems: heldout, train or yao2023")
	flags.StringVar(&f.mode, "mode", string(activities.ModeGreedy), "greedy, search or verified, or as --search stores it, such as puct@2000")
	f.add(cmd, "how to spend --budget: "+ways())
	flags.BoolVar(&f.calibration, "calibration", false, "measure how far the value head means what it says")
	flags.IntVar(&f.limit, "limit", 0, "number of problems, chosen by the run's seed; 0 means all")
	flags.StringVar(&f.yao, "yao", "", "24.csv of Yao et al. 2023 (default $HONE_SHARED/data/game24/24.csv)")
	return cmd
}

func (a *app) eval(ctx context.Context, s *servers, store *storage.Store, f evalFlags) (err error) {
	l, err := a.load(ctx, s, store, f.run, f.yao)
	if err != nil {
		return err
	}
	if hone.Split(f.split) == game24.SplitYao && (l.kept == nil || l.job.Task != game24.Name) {
		return l.contaminated()
	}
	version, err := l.version(ctx, store, f.version)
	if err != nil {
		return err
	}
	began := time.Now()
	defer l.unwatch()
	in := activities.EvaluateInput{
		Run: l.run.ID, Version: version, Split: hone.Split(f.split), Mode: activities.Mode(f.mode), Limit: f.limit,
	}
	if f.calibration {
		model, err := valueDigest(f.value)
		if err != nil {
			return err
		}
		return a.calibrate(ctx, l, in, model)
	}
	got, err := l.activities.Evaluate(ctx, in)
	if err != nil {
		return withoutEnvelope(err)
	}
	if a.json {
		return a.writeJSON(struct {
			Run  string `json:"run"`
			Task string `json:"task"`
			evaluation
		}{l.run.Name, l.job.Task, withAccuracy(got)})
	}
	o := got.Outcomes
	fmt.Fprintf(a.stdout, "%s, version %d: %s: %.1f%%\n", l.run.Name, version, measureName(got), 100*got.Accuracy())
	fmt.Fprintf(a.stdout, "right %d, wrong %d, unparsable %d, timed out %d, crashed %d; %.0f tokens an answer; %s\n",
		o.Right, o.Wrong, o.Unparsable, o.Timeout, o.Crashed, got.Tokens, duration(time.Since(began)))
	return nil
}

// withoutEnvelope is the error that an activity gave to Temporal, where there is no Temporal.
func withoutEnvelope(err error) error {
	if envelope, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		if inside := errors.Unwrap(envelope); inside != nil {
			return inside
		}
	}
	return err
}

// loaded is a stored run with all that answers questions from it.
type loaded struct {
	run        storage.Run
	job        activities.Job
	activities *activities.Activities
	puzzles    testPuzzles
	// watch hears of progress, nil where nobody does; unwatch takes the line of progress off the terminal.
	watch   func(activities.Heartbeat)
	unwatch func()
	// kept are the test puzzles that were kept out of training, if any were.
	kept [][]int
	// kernels are those that work is done with, by their fingerprint.
	kernels string
}

// load opens a run; "" is the newest.
func (a *app) load(ctx context.Context, s *servers, store *storage.Store, name, yao string) (*loaded, error) {
	run, err := a.runOf(ctx, store, name)
	if err != nil {
		return nil, err
	}
	l := &loaded{run: run}
	if l.job, err = storedJob(run.Config); err != nil {
		return nil, fmt.Errorf("run %s: %w", run.Name, err)
	}
	if l.puzzles, err = a.readTestPuzzles(yao); err != nil {
		return nil, err
	}
	if l.kept, err = l.puzzles.fit(run, l.job, s.data); err != nil {
		return nil, err
	}
	kernels, err := kernel.Open()
	if err != nil {
		return nil, fmt.Errorf("kernels: %w", err)
	}
	blobs, err := s.openBlobs(ctx)
	if err != nil {
		return nil, err
	}
	l.kernels = kernels.Fingerprint()
	l.watch, l.unwatch = a.watching()
	l.activities = activities.New(activities.Deps{
		Store: store, Blobs: blobs, Kernels: kernels, Yao: l.kept, Commit: thisBuild().Commit, Watch: l.watch,
	})
	return l, nil
}

// progress shows what is done of a phase on the terminal.
func (l *loaded) progress(phase, unit string) rollout.ProgressFunc {
	if l.watch == nil {
		return nil
	}
	return func(done, total int) {
		l.watch(activities.Heartbeat{Phase: phase, Done: int64(done), Total: int64(total), Unit: unit})
	}
}

// version is the one asked for, -1 meaning the newest, if there is one.
func (l *loaded) version(ctx context.Context, store *storage.Store, asked int) (int, error) {
	head, err := store.Head(ctx, l.run.ID)
	switch {
	case err != nil:
		return 0, err
	case head.Number < 0:
		return 0, fmt.Errorf("run %s has no policy yet: its supervised start is not done: %w", l.run.Name, hone.ErrNotFound)
	case asked < 0:
		return head.Number, nil
	case asked > head.Number:
		return 0, fmt.Errorf("run %s has versions 0 to %d, not %d: %w", l.run.Name, head.Number, asked, hone.ErrNotFound)
	}
	return asked, nil
}

// contaminated refuses the test puzzles for a run that was trained without regard to them.
func (l *loaded) contaminated() error {
	switch {
	case l.job.Task != game24.Name:
		return fmt.Errorf("split %s is of task %s; run %s is of %s: %w", game24.SplitYao, game24.Name, l.run.Name, l.job.Task, hone.ErrInvalid)
	case l.puzzles.path == "":
		return fmt.Errorf("split %s needs the list of puzzles: give 24.csv with --yao: %w", game24.SplitYao, hone.ErrInvalid)
	default:
		return fmt.Errorf("run %s was trained without keeping the puzzles of %s out: some of split %s are in its training set, so its accuracy "+
			"there would say nothing; train a run with --yao %s: %w", l.run.Name, l.puzzles.path, game24.SplitYao, l.puzzles.path, hone.ErrInvalid)
	}
}
