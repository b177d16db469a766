package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/rewardmodel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/storage"
)

// rewardFlags are what hone reward is told.
type rewardFlags struct {
	run, pairs, out, preset string
	store                   bool
	perProblem              int
	heldOut                 float64
	seed                    uint64
	config                  rewardmodel.Config
}

func (a *app) rewardCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "reward", Short: "Reward models that learn from preferences", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(a.rewardPairsCommand(), a.rewardTrainCommand())
	return cmd
}

// needsSubcommand is a command that does nothing by itself.
func needsSubcommand(cmd *cobra.Command, _ []string) error {
	if err := cmd.Help(); err != nil {
		return fmt.Errorf("help: %w", err)
	}
	return nil
}

func (a *app) rewardPairsCommand() *cobra.Command {
	f := rewardFlags{}
	cmd := &cobra.Command{
		Use:   "pairs [RUN]",
		Short: "Write a run's preferences, right against wrong completions of a problem",
		Long: `pairs writes a JSON object a line, {"prompt": ..., "chosen": ..., "rejected": ...}, as "hone reward train --pairs" reads them.
Preferences from elsewhere, such as people's, have the same form.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.run = args[0]
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.rewardPairs(ctx, s, store, f)
			})
		},
	}
	cmd.Flags().IntVar(&f.perProblem, "per-problem", 4, "most pairs of a problem of an iteration")
	return cmd
}

// preferenceLine is a pair as it is written.
type preferenceLine struct {
	Prompt   string `json:"prompt"`
	Chosen   string `json:"chosen"`
	Rejected string `json:"rejected"`
}

func (a *app) rewardPairs(ctx context.Context, s *servers, store *storage.Store, f rewardFlags) error {
	l, err := a.load(ctx, s, store, f.run, "")
	if err != nil {
		return err
	}
	tok, err := token.Open(activities.Tokenizer)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = activities.NewInspector(l.activities).Preferences(ctx, l.run.ID, f.perProblem, func(_ int, pairs []dpo.Pair) error {
		for _, p := range pairs {
			line := preferenceLine{Prompt: tok.Decode(p.Prefix), Chosen: tok.Decode(p.Chosen), Rejected: tok.Decode(p.Rejected)}
			if err := lines.Encode(line); err != nil {
				return fmt.Errorf("write pair: %w", err)
			}
		}
		return nil
	})
	return errors.Join(withoutEnvelope(err), out.Flush())
}

func (a *app) rewardTrainCommand() *cobra.Command {
	f := rewardFlags{config: rewardmodel.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a reward model on pairs, for the reward layer preference",
		Long: `train teaches a transformer with a head for one number to score the better completion of a pair above the worse one
(Bradley-Terry), and says how many pairs it gets right that it was not shown: all pairs of a prompt are learned from, or none.

With --run it starts from the newest policy of that run, and takes the run's own pairs where --pairs names no file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			if f.run == "" {
				return a.rewardTrain(cmd.Context(), nil, nil, f)
			}
			to := accessRead
			if f.store {
				to = accessWrite
			}
			return a.look(cmd.Context(), to, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.rewardTrain(ctx, s, store, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.pairs, "pairs", "", "file of pairs, see hone reward pairs; - is standard input")
	flags.StringVar(&f.run, "run", "", "run to start from")
	flags.StringVar(&f.out, "out", "", "file for the model; or --store")
	flags.BoolVar(&f.store, "store", false, "keep the model where the weights of runs are, so that every worker finds it")
	flags.StringVar(&f.preset, "preset", policy.Preset1M, "shape of a model that starts from nothing: 1m or 10m")
	flags.IntVar(&f.perProblem, "per-problem", 4, "most pairs of a problem of an iteration of the run")
	flags.Float64Var(&f.heldOut, "held-out", 0.1, "share of prompts to measure on and not to learn from")
	flags.Uint64Var(&f.seed, "seed", 1, "decides the order, what is held out, and a fresh model's weights")
	flags.IntVar(&f.config.Epochs, "epochs", f.config.Epochs, "times to go through the pairs")
	flags.IntVar(&f.config.BatchPairs, "batch-pairs", f.config.BatchPairs, "pairs of a step")
	flags.Float64Var(&f.config.LearningRate, "learning-rate", f.config.LearningRate, "its peak")
	return cmd
}

func (f rewardFlags) validate() error {
	var faults []error
	switch {
	case f.store && (f.out != "" || f.run == ""):
		faults = append(faults, fmt.Errorf("--store: want --run, and no --out: %w", hone.ErrInvalid))
	case !f.store && f.out == "":
		faults = append(faults, fmt.Errorf("--out: want a file for the model, or --store: %w", hone.ErrInvalid))
	}
	if _, err := os.Stat(filepath.Dir(f.out)); f.out != "" && err != nil { // said before the training, not after it
		faults = append(faults, fmt.Errorf("--out %s: %w: %w", f.out, err, hone.ErrInvalid))
	}
	if f.pairs == "" && f.run == "" {
		faults = append(faults, fmt.Errorf("want --pairs FILE or --run RUN: %w", hone.ErrInvalid))
	}
	if !(f.heldOut >= 0 && f.heldOut < 1) {
		faults = append(faults, fmt.Errorf("--held-out %v: want at least 0 and less than 1: %w", f.heldOut, hone.ErrInvalid))
	}
	return errors.Join(append(faults, f.config.Validate())...)
}

// trainedModel is what is said of a model.
type trainedModel struct {
	Model  string            `json:"model"`
	Digest string            `json:"digest"`
	Stats  rewardmodel.Stats `json:"stats"`
}

func (a *app) rewardTrain(ctx context.Context, s *servers, store *storage.Store, f rewardFlags) error {
	tok, err := token.Open(activities.Tokenizer)
	if err != nil {
		return err
	}
	in := rewardmodel.Input{Config: f.config, Seed: f.seed}
	if in.Set, err = kernel.Open(); err != nil {
		return fmt.Errorf("kernels: %w", err)
	}
	var pairs []dpo.Pair
	if f.run == "" {
		shape, err := policy.Preset(f.preset, tok.Vocab())
		if err != nil {
			return err
		}
		if in.Params, err = policy.Init(shape, hone.Seed(f.seed, "init")); err != nil {
			return err
		}
	} else if in.Params, pairs, err = a.rewardStart(ctx, s, store, f); err != nil {
		return err
	}
	if f.pairs != "" {
		if pairs, err = readPairs(f.pairs, tok); err != nil {
			return err
		}
	}
	switch {
	case len(pairs) == 0 && f.pairs != "":
		return fmt.Errorf("--pairs %s: it holds no pairs: %w", f.pairs, hone.ErrInvalid)
	case len(pairs) == 0:
		return fmt.Errorf("run %s has no problem with a right and a wrong completion in one cycle, so no pairs; give --pairs: %w",
			f.run, hone.ErrInvalid)
	}
	in.Pairs, in.HeldOut = holdOut(pairs, f.heldOut, f.seed)
	in.Progress = func(done, total int) {
		if done%max(1, total/10) == 0 && !a.json {
			fmt.Fprintf(a.stderr, "step %d of %d\n", done, total)
		}
	}
	stats, err := rewardmodel.Train(ctx, in)
	if err != nil {
		return err
	}
	place, err := f.keep(ctx, s, func(w io.Writer) error { return rewardmodel.Save(w, in.Params, tok, stats) })
	if err != nil {
		return err
	}
	m := trainedModel{Model: place, Digest: in.Params.Digest(), Stats: stats}
	if a.json {
		return a.writeJSON(m)
	}
	m.write(a.stdout)
	return nil
}

// keep writes a model to the file or the store that the flags name, and returns its name in a configuration.
func (f rewardFlags) keep(ctx context.Context, s *servers, save func(io.Writer) error) (string, error) {
	if !f.store {
		path, err := filepath.Abs(f.out)
		if err != nil {
			return "", err
		}
		return path, writeWhole(path, save)
	}
	blobs, err := s.openBlobs(ctx)
	if err != nil {
		return "", err
	}
	digest, _, err := blobs.Put(ctx, save)
	if err != nil {
		return "", fmt.Errorf("store the model: %w", err)
	}
	return preference.Stored + string(digest), nil
}

// rewardStart is the newest policy of a run, and its own pairs where no file is named.
func (a *app) rewardStart(
	ctx context.Context, s *servers, store *storage.Store, f rewardFlags,
) (params *policy.Params, pairs []dpo.Pair, err error) {
	l, err := a.load(ctx, s, store, f.run, "")
	if err != nil {
		return nil, nil, err
	}
	version, err := l.version(ctx, store, -1)
	if err != nil {
		return nil, nil, err
	}
	inspect := activities.NewInspector(l.activities)
	if params, err = inspect.Params(ctx, l.run.ID, version); err != nil || f.pairs != "" {
		return params, nil, withoutEnvelope(err)
	}
	err = inspect.Preferences(ctx, l.run.ID, f.perProblem, func(_ int, some []dpo.Pair) error {
		pairs = append(pairs, some...)
		return nil
	})
	return params, pairs, withoutEnvelope(err)
}

// readPairs reads a file of pairs, whole or not at all.
func readPairs(path string, tok token.Tokenizer) ([]dpo.Pair, error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--pairs: %w", err)
		}
		defer file.Close()
		in = file
	}
	var pairs []dpo.Pair
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		p, err := readPair(lines.Bytes(), tok)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, number, err)
		}
		pairs = append(pairs, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pairs, nil
}

func readPair(text []byte, tok token.Tokenizer) (p dpo.Pair, err error) {
	var line preferenceLine
	if err := json.Unmarshal(text, &line); err != nil {
		return p, fmt.Errorf("want an object with prompt, chosen and rejected: %w: %w", err, hone.ErrInvalid)
	}
	if p.Prefix, p.Chosen, err = rewardmodel.Encode(tok, line.Prompt, line.Chosen, true); err != nil {
		return p, fmt.Errorf("chosen: %w", err)
	}
	if _, p.Rejected, err = rewardmodel.Encode(tok, line.Prompt, line.Rejected, true); err != nil {
		return p, fmt.Errorf("rejected: %w", err)
	}
	return p, nil
}

// holdOut keeps the pairs of a share of the prompts apart, chosen by the seed.
func holdOut(pairs []dpo.Pair, share float64, seed uint64) (learned, heldOut []dpo.Pair) {
	for _, p := range pairs {
		if hone.Rand(hone.Seed(seed, "held out", fmt.Sprint(p.Prefix))).Float64() < share {
			heldOut = append(heldOut, p)
			continue
		}
		learned = append(learned, p)
	}
	return learned, heldOut
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = write(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// write is for a person, with what to put into a stack.
func (m trainedModel) write(w io.Writer) {
	s := m.Stats
	fmt.Fprintf(w, "%d pairs, %d steps: loss %.4f in the first pass, %.4f in the last\n", s.Pairs, s.Steps, s.First.Loss, s.Last.Loss)
	if h := s.HeldOut; h.Pairs > 0 {
		low, high := interval(h.Accuracy, h.Pairs)
		fmt.Fprintf(w, "held out: %.1f%% of %d pairs the right way round (95%%: %.1f to %.1f), loss %.4f (ln 2 is 0.6931), margin %.2f\n",
			100*h.Accuracy, h.Pairs, 100*low, 100*high, h.Loss, h.Margin)
	} else {
		fmt.Fprintln(w, "no pair was held out, so nothing is known of pairs that it has not seen")
	}
	fmt.Fprintf(w, "\nlayers:\n  - {layer: preference, weight: 0.1, preference: {model: %s, digest: %s}}\n", m.Model, m.Digest)
}

// interval holds a share of n with a probability of 95 %: Wilson 1927, doi:10.1080/01621459.1927.10502953, eq. 2.
func interval(share float64, n int) (low, high float64) {
	const z = 1.959964
	size := float64(n)
	center := (share + z*z/(2*size)) / (1 + z*z/size)
	half := z / (1 + z*z/size) * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	return max(0, center-half), min(1, center+half)
}
