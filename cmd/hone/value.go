package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/calibration"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// valueFlags are what hone value train is told.
type valueFlags struct {
	run, yao string
	version  int
	config   activities.ValueConfig
}

func (a *app) valueCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "value", Short: "Process-value models, by which searches go", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(a.valueTrainCommand())
	return cmd
}

func (a *app) valueTrainCommand() *cobra.Command {
	f := valueFlags{config: activities.DefaultValueConfig()}
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a model that says how likely a right answer is after each step",
		Long: `train has a policy sample and search training problems of its run, and teaches a copy of it what each state came to: the share of
samples through it that were right, and the search's own Q. The verifier leads the searches of the first round, and the model those of later
ones, so that it learns of what it was wrong about. Problems that no round learns from calibrate it.

The model is stored beside the weights of runs. hone eval and hone solve go by it with --value; the same command typed again after an
interruption goes on where it was.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.version < -1 {
				return fmt.Errorf("--version %d: want a number of at least 0: %w", f.version, hone.ErrInvalid)
			}
			if err := f.config.Validate(); err != nil {
				return err
			}
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.valueTrain(ctx, s, store, f)
			})
		},
	}
	flags, c := cmd.Flags(), &f.config
	flags.StringVar(&f.run, "run", "", "run whose policy and problems it is made of (default: the newest)")
	flags.IntVar(&f.version, "version", -1, "policy version (default: the newest)")
	flags.IntVar(&c.Rounds, "rounds", c.Rounds, "times to study problems and learn from them")
	flags.IntVar(&c.Problems, "problems", c.Problems, "training problems of a round")
	flags.IntVar(&c.HeldOut, "held-out", c.HeldOut, "training problems to calibrate with, which no round learns from")
	flags.IntVar(&c.Samples, "samples", c.Samples, "samples of a problem")
	flags.IntVar(&c.Budget, "budget", c.Budget, "most tokens of a problem's search")
	flags.IntVar(&c.Train.Epochs, "epochs", c.Train.Epochs, "times to go through what a round found")
	flags.Float64Var(&c.Train.LearningRate, "learning-rate", c.Train.LearningRate, "its peak")
	flags.Uint64Var(&c.Seed, "seed", c.Seed, "decides the order of learning")
	flags.StringVar(&f.yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}

// trainedValues is what is said of a process-value model.
type trainedValues struct {
	Run     string                  `json:"run"`
	Version int                     `json:"version"`
	Model   blob.Digest             `json:"model"`
	Rounds  []activities.ValueRound `json:"rounds"`
}

func (a *app) valueTrain(ctx context.Context, s *servers, store *storage.Store, f valueFlags) error {
	l, err := a.load(ctx, s, store, f.run, f.yao)
	if err != nil {
		return err
	}
	version, err := l.version(ctx, store, f.version)
	if err != nil {
		return err
	}
	stages, err := l.stages(ctx, store, s.data, version, f.config)
	if err != nil {
		return err
	}
	defer l.unwatch()
	rounds, err := activities.NewInspector(l.activities).TrainValue(ctx, activities.ValueInput{
		Run: l.run.ID, Version: version, Config: f.config, Stages: stages,
		Progress: func(phase, unit string) rollout.ProgressFunc { return l.progress(phase, unit) },
	})
	if err != nil {
		return withoutEnvelope(err)
	}
	l.unwatch()
	out := trainedValues{Run: l.run.Name, Version: version, Model: rounds[len(rounds)-1].Model, Rounds: rounds}
	if a.json {
		return a.writeJSON(out)
	}
	out.write(a.stdout)
	return nil
}

// write is for a person, with what to type next.
func (t trainedValues) write(w io.Writer) {
	for n, r := range t.Rounds {
		s := r.Stats
		fmt.Fprintf(w, "round %d: %d tokens written; %d states of %d texts, %d steps: loss %.4f at first, %.4f at last, %.4f held out\n",
			n+1, r.Generated, s.States, s.Examples, s.Steps, s.FirstLoss, s.LastLoss, s.HeldOutLoss)
	}
	last := t.Rounds[len(t.Rounds)-1].Stats
	states, ends := last.Calibrated, last.CalibratedEnds
	fmt.Fprintf(w, "\nproblems of which no round learned; calibration: scale %.3f, offset %.3f; at ends %.3f, %.3f, likelihood %.3f\n\n",
		states.Scale, states.Offset, ends.Scale, ends.Offset, ends.Likelihood)
	rows := [][]string{{"", "states", "V said", "right", "Brier", "climate", "skill", "ECE"}}
	for _, r := range []struct {
		name string
		of   *calibration.Report
	}{{"samples, as learned", last.Before}, {"samples, calibrated", last.After}, {"ended texts", last.Ends}} {
		if r.of != nil {
			rows = append(rows, scoreRow(r.name, *r.of))
		}
	}
	writeTable(w, rows)
	if last.After != nil {
		writeReliability(w, *last.After)
	}
	fmt.Fprintf(w, "\nhone eval --run %s --version %d --search puct --budget 500 --value %s\n", t.Run, t.Version, t.Model)
}

// writeReliability draws what was said against what came.
func writeReliability(w io.Writer, r calibration.Report) {
	fmt.Fprintf(w, "\n%-9s  %6s  %6s  %6s  0%s1\n", "V said", "states", "mean", "right", strings.Repeat(" ", gaugeWidth-2))
	for _, b := range r.Bins {
		if b.Count == 0 {
			fmt.Fprintf(w, "%.1f-%.1f  %8d  %6s  %6s  %s\n", b.Low, b.High, 0, "-", "-", strings.Repeat("·", gaugeWidth))
			continue
		}
		fmt.Fprintf(w, "%.1f-%.1f  %8d  %6.3f  %6.3f  %s\n", b.Low, b.High, b.Count, b.Said, b.Came, gauge(b.Came, b.Said))
	}
	fmt.Fprintln(w, "\nbar: the share that was right; |: what was said. Where bars end at the marks the values mean what they say.")
}

// stages is a folder beside the run's configuration, named by all that a model is a function of.
func (l *loaded) stages(
	ctx context.Context, store *storage.Store, d data, version int, cfg activities.ValueConfig,
) (valueStages, error) {
	stored, err := store.Version(ctx, l.run.ID, version)
	if err != nil {
		return "", err
	}
	key, err := json.Marshal(struct {
		Run     hone.RunID             `json:"run"`
		Job     activities.Job         `json:"job"`
		Weights blob.Digest            `json:"weights"`
		Kernels string                 `json:"kernels"`
		Build   string                 `json:"build"`
		Config  activities.ValueConfig `json:"config"`
	}{l.run.ID, l.job, stored.Weights, l.kernels, thisBuild().Commit, cfg})
	if err != nil {
		return "", fmt.Errorf("name of a value model's stages: %w", err)
	}
	sum := sha256.Sum256(key)
	return valueStages(filepath.Join(filepath.Dir(d.config(l.run.Name)), "value", hex.EncodeToString(sum[:8]))), nil
}

// valueStages is a folder; it implements [activities.Stages].
type valueStages string

// Load reads a stage.
func (v valueStages) Load(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(string(v), name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("stage %s: %w", name, hone.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", name, err)
	}
	return content, nil
}

// Save keeps a stage, whole or not at all.
func (v valueStages) Save(name string, content []byte) error {
	err := os.MkdirAll(string(v), 0o755)
	if err == nil {
		err = writeWhole(filepath.Join(string(v), name+".json"), func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("stage %s: %w", name, err)
	}
	return nil
}

// valueDigest reads --value: 64 hexadecimal digits, with or without what names stored content.
func valueDigest(flag string) (blob.Digest, error) {
	if flag == "" {
		return "", nil
	}
	digest := blob.Digest(strings.TrimPrefix(flag, preference.Stored))
	if err := digest.Validate(); err != nil {
		return "", fmt.Errorf("--value: want the digest that hone value train prints: %w", err)
	}
	return digest, nil
}
