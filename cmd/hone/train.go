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
An update learns by PPO, or as --set algorithm=rejection, dpo or supervised says.`,
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
		r.cycles, r.fresh.Cycles, r.fresh.Plan.Cycles = f.cycles, f.cycles, f.cycles
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
	if err := t.resolve(ctx, r); err != nil {
		return err
	}
	if t.finished() {
		return t.alreadyDone(ctx)
	}
	return t.run(ctx)
}
