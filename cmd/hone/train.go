package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// trainFlags are what hone train is told.
type trainFlags struct {
	preset, config string
	set            []string
	seed           uint64
	cycles         int
	run            string
	yao            string

	seedGiven, cyclesGiven bool
}

func (a *app) trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a policy, or go on with a run that was interrupted",
		Long: `train makes a supervised start, then runs cycles of rollout, reward and PPO update, and measures the result on held-out puzzles.

A run has a name. Where a run of that name exists, train goes on with it under the configuration that it was created with: after
Ctrl-C, after kill -9, after a crash of the machine, the same command ends in the same bytes. More --cycles extend it.

Presets: ` + strings.Join(presetNames(), ", ") + `. Fields are set by their path: --set ppo.kl_coef=0.02 --set plan.eval_every=5.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.seedGiven, f.cyclesGiven = cmd.Flags().Changed("seed"), cmd.Flags().Changed("cycles")
			return a.train(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.preset, "preset", "", "configuration in this program: "+strings.Join(presetNames(), ", "))
	flags.StringVar(&f.config, "config", "", "configuration file (YAML); it lists what differs from the defaults")
	flags.StringArrayVar(&f.set, "set", nil, "change one field: path=value, such as ppo.kl_coef=0.02; may be repeated")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of all random streams of the run")
	flags.IntVar(&f.cycles, "cycles", 0, "number of cycles of the whole run; more than a run has extend it")
	flags.StringVar(&f.run, "run", "", "name of the run (default: the preset's or the file's name with the seed, such as demo-1)")
	flags.StringVar(&f.yao, "yao", "", "24.csv of Yao et al. 2023, whose test puzzles are kept out of training (default $HONE_SHARED/data/game24/24.csv)")
	cmd.MarkFlagsMutuallyExclusive("preset", "config")
	return cmd
}

// request is what was asked for, before it is known whether the run exists.
type request struct {
	name string
	// layers are what was said of the configuration, in order.
	layers []layer
	// fresh is the configuration that a new run gets.
	fresh config
	// cycles is the number given by flag, -1 for none.
	cycles int
}

// request resolves the flags. All faults of the configuration are reported at once.
func (f trainFlags) request() (request, error) {
	r := request{cycles: -1, name: f.run, fresh: defaultConfig()}
	base := ""
	switch {
	case f.preset != "":
		l, err := presetLayer(f.preset)
		if err != nil {
			return r, err
		}
		base, r.layers = f.preset, append(r.layers, l)
	case f.config != "":
		l, err := readLayer(f.config)
		if err != nil {
			return r, err
		}
		base = strings.TrimSuffix(filepath.Base(f.config), filepath.Ext(f.config))
		r.layers = append(r.layers, l)
	case f.run == "":
		return r, fmt.Errorf("say what to train: --preset %s, --config FILE, or --run NAME to go on with a run: %w",
			strings.Join(presetNames(), "|"), hone.ErrInvalid)
	}
	for _, assignment := range f.set {
		l, err := setLayer(assignment)
		if err != nil {
			return r, err
		}
		r.layers = append(r.layers, l)
	}
	if f.seedGiven {
		r.layers = append(r.layers, layer{name: "--seed", text: fmt.Appendf(nil, "seed: %d\n", f.seed), typed: true})
	}
	var faults []error
	for _, l := range r.layers {
		faults = append(faults, l.over(&r.fresh))
	}
	if err := errors.Join(faults...); err != nil {
		return r, err
	}
	if f.cyclesGiven {
		r.cycles, r.fresh.Job.Cycles, r.fresh.Plan.Cycles = f.cycles, f.cycles, f.cycles
	}
	r.fresh.settle()
	if r.name == "" {
		r.name = fmt.Sprintf("%s-%d", base, r.fresh.Seed)
	}
	return r, errors.Join(r.fresh.Validate(), workflows.TrainInput{Run: r.name, Plan: r.fresh.Plan}.Validate())
}

func (a *app) train(ctx context.Context, f trainFlags) (err error) {
	r, err := f.request()
	if err != nil {
		return err
	}
	puzzles, err := a.readTestPuzzles(f.yao)
	if err != nil {
		return err
	}
	began := time.Now()
	s, err := a.openServers(ctx, roleTrain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	store, err := s.store(ctx, accessTrain)
	if err != nil {
		return err
	}
	defer store.Close()
	t := &training{app: a, servers: s, store: store, puzzles: puzzles, began: began}
	if err := t.resolve(ctx, r); err != nil {
		return err
	}
	if t.finished() {
		return t.alreadyDone(ctx)
	}
	return t.run(ctx)
}

// training is one call of hone train.
type training struct {
	app     *app
	servers *servers
	store   *storage.Store
	puzzles testPuzzles
	began   time.Time

	name   string
	config config
	// stored is the run as it was found; nil for a new one. head is its newest version, -1 for none.
	stored *storage.Run
	head   int
	// keep is the list of puzzles kept out of training.
	keep [][]int
	view view
}

// finished tells that there is nothing left to do.
func (t *training) finished() bool {
	return t.stored != nil && t.stored.Status == storage.StatusSucceeded && t.head >= t.config.Plan.Cycles
}

// alreadyDone shows what a finished run came to.
func (t *training) alreadyDone(ctx context.Context) error {
	t.view = t.app.newView()
	defer t.view.close()
	t.view.note(fmt.Sprintf("%s is finished, with all its %d cycles: nothing to do (more with --cycles)", t.name, t.head))
	ends, err := t.storedEnds(ctx)
	if err != nil {
		return err
	}
	return t.conclude(ctx, ends)
}

// run starts what is missing, trains, and shows the result.
func (t *training) run(ctx context.Context) error {
	kernels, err := kernel.Open()
	if err != nil {
		return fmt.Errorf("kernels: %w", err)
	}
	if err := t.servers.startTemporal(ctx, 0); err != nil {
		return err
	}
	if err := t.servers.publish(roleTrain, t.name); err != nil {
		return err
	}
	blobs, err := t.servers.openBlobs()
	if err != nil {
		return err
	}
	d := t.servers.data
	if err := errors.Join(t.config.save(d.config(t.name)), savePuzzles(d.puzzles(t.name), t.keep)); err != nil {
		return d.fail(err)
	}
	act := activities.New(activities.Deps{Store: t.store, Blobs: blobs, Kernels: kernels, Yao: t.keep, Commit: thisBuild().Commit})
	t.view = t.app.newView()
	t.introduce(kernels)
	defer t.view.close()
	result, err := t.serve(ctx, act)
	if err != nil {
		if errors.Is(context.Cause(ctx), errInterrupted) {
			return err // at once: the activities that are cut short may still hold what Close would wait for
		}
		return errors.Join(err, act.Close())
	}
	if result.Status == activities.StatusPaused {
		t.view.note(fmt.Sprintf("%s was stopped on request after %d cycles. To go on: %s", t.name, result.Version, t.app.again()))
		return act.Close()
	}
	ends := evaluated{version: result.Version, weights: result.Weights, start: result.Start, final: result.Final}
	return errors.Join(t.conclude(ctx, ends), act.Close())
}

// introduce says what is going to happen, and with what.
func (t *training) introduce(kernels *kernel.Set) {
	state := "a new run"
	if t.stored != nil {
		state = fmt.Sprintf("going on after %d of %d cycles", max(t.head, 0), t.config.Plan.Cycles)
		if t.head < 0 {
			state = "going on before the end of its supervised start"
		}
	}
	t.view.note(fmt.Sprintf("run %s: %s", t.name, state))
	t.view.note(fmt.Sprintf("data in %s, kernels %s", t.servers.data.path, kernels.Name()))
	if need, left, ok := t.needsSpace(); ok && left < need {
		t.view.note(fmt.Sprintf("the weights of all versions will take %.1f GB, and only %.1f GB are free; when the disk is full the run waits",
			float64(need)/1e9, float64(left)/1e9))
	}
	switch {
	case t.keep != nil && t.puzzles.path != "":
		t.view.note(fmt.Sprintf("the %d test puzzles of %s are kept out of training", len(t.keep), t.puzzles.path))
	case t.keep != nil:
		t.view.note(fmt.Sprintf("the %d test puzzles that the run was created with are kept out of training", len(t.keep)))
	}
}

// needsSpace is what the versions still to come will take on disk, each with weights and both of its optimiser's moments, and the
// space that is left, in bytes.
func (t *training) needsSpace() (need, left uint64, ok bool) {
	left, err := t.servers.data.free()
	if err != nil {
		return 0, 0, false
	}
	shape := t.config.Policy
	if tok, err := token.Open(activities.Tokenizer); err == nil && shape.Vocab == 0 {
		shape.Vocab = tok.Vocab()
	}
	const bytesPerParameter = 3 * 4
	return uint64(max(t.config.Plan.Cycles-t.head, 0)) * uint64(shape.NumParams()) * bytesPerParameter, left, true
}

// serve takes the run's work until it has ended, or ctx has. When it returns, all workers have stopped.
func (t *training) serve(ctx context.Context, act *activities.Activities) (workflows.TrainResult, error) {
	c, err := t.servers.dial(ctx)
	if err != nil {
		return workflows.TrainResult{}, err
	}
	defer c.Close()
	raw, err := t.config.job()
	if err != nil {
		return workflows.TrainResult{}, err
	}
	if t.servers.temporal != nil {
		others, err := setAside(ctx, c, t.name)
		if err != nil {
			return workflows.TrainResult{}, err
		}
		for _, name := range others {
			t.view.note(fmt.Sprintf("run %s, which was interrupted, stays as it is until its own command is typed again", name))
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var result workflows.TrainResult
	var group errgroup.Group
	group.Go(func() error {
		err := workflows.Serve(ctx, c, workflows.Service{Activities: act, Rollouts: 1})
		cancel(err)
		return err
	})
	group.Go(func() error {
		select {
		case <-t.servers.lost():
			err := fmt.Errorf("the private Postgres has ended; see %s: %w", t.servers.postgres.LogFile(), hone.ErrUnavailable)
			cancel(err)
			return err
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() (err error) {
		defer func() { cancel(err) }()
		flow, err := workflows.StartTrain(ctx, c, workflows.TrainInput{Run: t.name, Config: raw, Plan: t.config.Plan})
		if err != nil {
			return err
		}
		w := &watcher{training: t, client: c, flow: flow}
		result, err = w.watch(ctx)
		t.view.close()
		if errors.Is(context.Cause(ctx), errInterrupted) {
			// Before the workers and the servers have stopped, which takes a moment.
			fmt.Fprintf(t.app.stderr, "hone: stopping; nothing is lost. To go on: %s\n", t.app.again())
			t.app.parted = true
		}
		return err
	})
	err = group.Wait()
	// What ended the others is what went wrong.
	if cause := context.Cause(ctx); err != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return result, err
}
