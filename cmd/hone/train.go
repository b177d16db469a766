package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
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
	noWorker       bool
	fromScoring    string

	seedGiven, cyclesGiven bool
}

func (a *app) trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a policy, or go on with a run that was interrupted",
		Long: `train makes a supervised start, then runs cycles of rollout, reward and update, and measures the result on held-out puzzles.

A run has a name. Where a run of that name exists, train goes on with it under the configuration that it was created with: after
Ctrl-C, after kill -9, after a crash of the machine, the same command ends in the same bytes. More --cycles extend it.

Presets: ` + strings.Join(presetNames(), ", ") + `. Fields are set by their path: --set ppo.kl_coef=0.02 --set plan.eval_every=5.
An update learns by PPO, or as --set algorithm=rejection, dpo or supervised says.

--from-scoring RUN/N begins a new run on what run RUN sampled, under its scoring N (that of hone replay --save; 0 is the live one): a cycle
an iteration, with the settings of RUN and the reward of the scoring, going on from RUN's newest version; --cycles beyond that sample.
--set from_scoring.from=10 and from_scoring.to=19 choose iterations, from_scoring.version=0 the version to begin with. With --preset or
--config the new run makes a supervised start of its own. Run RUN stays as it is.`,
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
	flags.StringVar(&f.yao, "yao", "",
		"24.csv of Yao et al. 2023, whose test puzzles are kept out of training (default $HONE_SHARED/data/game24/24.csv)")
	flags.BoolVar(&f.noWorker, "no-worker", false, "leave the work to the processes of hone worker, and only start and follow the run")
	flags.StringVar(&f.fromScoring, "from-scoring", "", "begin on stored trajectories under this scoring of a run, such as demo-1/1")
	a.registerTelemetry(flags)
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
	// puzzles is true where a list of test puzzles was given by flag.
	puzzles bool
	// lenderName and scoring are what --from-scoring names; "" is none.
	lenderName string
	scoring    int
}

// request resolves the flags. All faults of the configuration are reported at once.
func (f trainFlags) request() (request, error) {
	r := request{cycles: -1, name: f.run, fresh: defaultConfig(), puzzles: f.yao != ""}
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
	case f.run == "" && f.fromScoring == "":
		return r, fmt.Errorf("say what to train: --preset %s, --config FILE, or --run NAME to go on with a run: %w",
			strings.Join(presetNames(), "|"), hone.ErrInvalid)
	}
	if f.fromScoring != "" {
		var err error
		if r.lenderName, r.scoring, err = scoringName(f.fromScoring); err != nil {
			return r, err
		}
		if base == "" && r.name == "" {
			r.name = fmt.Sprintf("%s-scoring-%d", r.lenderName, r.scoring)
		}
		r.layers = append(r.layers, lenderLayer(r.lenderName, r.scoring))
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
		r.cycles = f.cycles
	}
	r.complete()
	if r.name == "" {
		r.name = fmt.Sprintf("%s-%d", base, r.fresh.Seed)
	}
	if r.lenderName != "" { // what is missing is in the other run's record
		return r, nil
	}
	err := r.validate()
	return r, err
}

// complete fills in the cycles of a new run.
func (r *request) complete() {
	if r.cycles >= 0 {
		r.fresh.Cycles, r.fresh.Plan.Cycles = r.cycles, r.cycles
	}
	r.fresh.settle()
}

// validate joins all faults of what a new run would be.
func (r *request) validate() error {
	return errors.Join(r.fresh.Validate(), workflows.TrainInput{Run: r.name, Plan: r.fresh.Plan}.Validate())
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
	if a.watched, err = a.openTelemetry(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.watched.close(ctx)) }()
	s, err := a.openServers(ctx, roleTrain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	if f.noWorker && s.own != nil {
		return fmt.Errorf("--no-worker leaves the work to others, and nobody else reaches the private servers of this process; give "+
			"--database-url and --temporal-address, or start %s and %s: %w", a.propose("server"), a.propose("worker"), hone.ErrInvalid)
	}
	store, err := s.store(ctx, accessTrain)
	if err != nil {
		return err
	}
	defer store.Close()
	t := &training{app: a, servers: s, store: store, puzzles: puzzles, began: began, apart: f.noWorker}
	if err := errors.Join(t.resolve(ctx, r), t.measurable()); err != nil {
		return err
	}
	if t.finished() {
		return t.alreadyDone(ctx)
	}
	return t.run(ctx)
}
