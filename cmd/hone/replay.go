package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/storage"
)

// errChanged ends a replay that changed something, for scripts.
var errChanged = errors.New("rewards changed")

// replayGC is how much garbage there may be while a replay runs, in percent of what is alive.
const replayGC = 400

// replayFlags are what hone replay is told.
type replayFlags struct {
	run, reward, against, yao string
	from, to                  int
	pick                      storage.Selection
	outcome                   string
	low, high                 float64
	keep                      []string
	save                      bool
	fresh                     int
	anew                      bool // fresh was given
	csv, lines, parquet       string
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay [RUN]",
		Short: "Score stored trajectories again under another reward, and show what changes",
		Long: `replay judges stored trajectories under the stack of --reward and compares with the scoring that the run was trained on, or, with
--against, with a second stack. Trajectories are never changed; --save keeps the result as a scoring beside the live one, and a replay
that was interrupted goes on when the same line is typed again. --fresh N asks about samples that nobody has trained on: N training
problems, sampled anew by the run's newest policy, the same every time.

The exit code is 0 where nothing changed, 3 where something did, and 1 for an error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.run = args[0]
			}
			f.anew = cmd.Flags().Changed("fresh")
			f.pick.Outcome = hone.Outcome(f.outcome)
			f.pick.Layer.Low, f.pick.Layer.High = f.low, f.high
			if f.pick.Layer.Layer == "" {
				f.pick.Layer = storage.LayerRange{}
			}
			to := accessRead
			if f.save {
				to = accessWrite
			}
			return a.look(cmd.Context(), to, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.replay(ctx, s, store, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reward, "reward", "", "reward stack (YAML), as under reward: in a configuration (default: the run's own)")
	flags.StringVar(&f.against, "against", "", "second stack: show what it changes from the first")
	flags.IntVar(&f.from, "from", 0, "first iteration")
	flags.IntVar(&f.to, "to", -1, "last iteration (default: the newest)")
	flags.StringVar(&f.pick.Problem, "problem", "", "only samples of the problem with this key")
	flags.StringVar(&f.outcome, "outcome", "", "only samples with this outcome: right, wrong, unparsable, timeout, crashed")
	flags.IntVar(&f.pick.MinTokens, "min-tokens", 0, "only completions of at least so many tokens")
	flags.IntVar(&f.pick.MaxTokens, "max-tokens", 0, "only completions of at most so many tokens")
	flags.StringVar(&f.pick.Text, "text", "", "only completions that hold this text")
	flags.StringVar(&f.pick.Layer.Layer, "layer", "", "only samples whose live total of this layer is from --layer-low to --layer-high")
	flags.Float64Var(&f.low, "layer-low", -math.MaxFloat64, "see --layer")
	flags.Float64Var(&f.high, "layer-high", math.MaxFloat64, "see --layer")
	flags.StringVar(&f.pick.Where, "where", "", "only samples of this SQL condition on trajectories t and scores s, like \"s.total > 0.5\"")
	flags.StringSliceVar(&f.keep, "keep", nil, "layers to take as they were stored, where they can't be judged again")
	flags.IntVar(&f.fresh, "fresh", 0, "judge so many problems sampled anew by the newest policy, instead of what is stored")
	flags.BoolVar(&f.save, "save", false, "store the scoring")
	flags.StringVar(&f.csv, "csv", "", "write a row for each sample to this file")
	flags.StringVar(&f.lines, "jsonl", "", "write a JSON object for each sample to this file")
	flags.StringVar(&f.parquet, "parquet", "", "write a row for each sample to this file, as Parquet")
	flags.StringVar(&f.yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}

func (a *app) replay(ctx context.Context, s *servers, store *storage.Store, f replayFlags) (err error) {
	// Some fifty megabytes are alive, all short-lived: collecting them a quarter as often is a third of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(replayGC))
	l, err := a.load(ctx, s, store, f.run, f.yao)
	if err != nil {
		return err
	}
	defer l.unwatch()
	cfg := l.job.Reward
	if f.reward != "" {
		if cfg, err = readStack(f.reward); err != nil {
			return err
		}
	}
	f.pick.Run = l.run.ID
	in := replay.Input{Store: store, Selection: f.pick, From: f.from, To: f.to, Group: l.job.Rollout.Group, Keep: f.keep}
	if in.Task, in.Stack, err = activities.NewInspector(l.activities).Rewards(ctx, l.run.ID, cfg); err != nil {
		return withoutEnvelope(err)
	}
	names := replay.Names{Run: l.run.Name, Before: "live", After: "replay"}
	if f.against != "" {
		other, err := readStack(f.against)
		if err != nil {
			return err
		}
		if _, in.Against, err = activities.NewInspector(l.activities).Rewards(ctx, l.run.ID, other); err != nil {
			return withoutEnvelope(err)
		}
		names = replay.Names{Run: l.run.Name, Before: "first", After: "second"}
	}
	if f.anew {
		if in.Store, err = l.fresh(ctx, store, f); err != nil {
			return err
		}
		names.Run += " (fresh)"
	}
	rows := &rowFiles{}
	if in.Row, err = rows.open(f); err != nil {
		return err
	}
	if f.save {
		config, err := json.Marshal(map[string]any{"reward": cfg, "keep": f.keep, "commit": thisBuild().Commit})
		if err != nil {
			return fmt.Errorf("encode reward: %w", err)
		}
		if in.Scoring, err = store.AddScoring(ctx, l.run.ID, config); err != nil {
			return errors.Join(err, rows.close())
		}
	}
	report, err := replay.Run(ctx, in)
	if err := errors.Join(err, rows.close()); err != nil {
		return err
	}
	if a.json {
		err = a.writeJSON(struct {
			replay.Report
			Scoring int `json:"scoring,omitempty"`
		}{report, in.Scoring})
	} else {
		report.WriteText(a.stdout, names)
		if in.Scoring > 0 {
			fmt.Fprintf(a.stdout, "\nstored as scoring %d of run %s\n", in.Scoring, l.run.Name)
		}
	}
	if err == nil && report.Changed > 0 {
		return errChanged
	}
	return err
}

// fresh are problems sampled anew, judged under the run's own reward.
func (l *loaded) fresh(ctx context.Context, store *storage.Store, f replayFlags) (*replay.Samples, error) {
	if f.fresh < 1 || f.save || len(f.keep) > 0 || f.from != 0 || f.to >= 0 || !f.pick.Whole() {
		return nil, fmt.Errorf("--fresh %d: want at least 1 problem, and none of the options that pick, keep or save what is stored: %w",
			f.fresh, hone.ErrInvalid)
	}
	version, err := l.version(ctx, store, -1)
	if err != nil {
		return nil, err
	}
	look := activities.NewInspector(l.activities)
	trajectories, err := look.Fresh(ctx, l.run.ID, version, f.fresh)
	if err != nil {
		return nil, withoutEnvelope(err)
	}
	_, live, err := look.Rewards(ctx, l.run.ID, l.job.Reward)
	if err != nil {
		return nil, withoutEnvelope(err)
	}
	return replay.NewSamples(ctx, trajectories, l.job.Rollout.Group, live)
}

// rowFiles are where rows go.
type rowFiles struct {
	files []*os.File
	rows  []replay.Rows
}

// open is the function that writes rows; nil where no file was named.
func (r *rowFiles) open(f replayFlags) (func(replay.Row) error, error) {
	for _, form := range []struct {
		path string
		make func(io.Writer) replay.Rows
	}{{f.csv, replay.NewCSV}, {f.lines, replay.NewJSONLines}, {f.parquet, replay.NewParquet}} {
		if form.path == "" {
			continue
		}
		file, err := os.Create(form.path)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.files, r.rows = append(r.files, file), append(r.rows, form.make(file))
	}
	if r.rows == nil {
		return nil, nil //nolint:nilnil // no rows are wanted
	}
	return r.row, nil
}

func (r *rowFiles) row(row replay.Row) error {
	for _, rows := range r.rows {
		if err := rows.Write(row); err != nil {
			return err
		}
	}
	return nil
}

func (r *rowFiles) close() error {
	var faults []error
	for i, rows := range r.rows {
		faults = append(faults, rows.Close(), r.files[i].Close())
	}
	return errors.Join(faults...)
}

func (a *app) reportCommand() *cobra.Command {
	var yao string
	cmd := &cobra.Command{
		Use:   "report [RUN]",
		Short: "Look for signs that a run earns reward without doing what it is meant to",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				l, err := a.load(ctx, s, store, name, yao)
				if err != nil {
					return err
				}
				tk, _, err := activities.NewInspector(l.activities).Rewards(ctx, l.run.ID, l.job.Reward)
				if err != nil {
					return withoutEnvelope(err)
				}
				found, err := replay.Inspect(ctx, store, l.run.ID, l.job.Rollout.Group, tk)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(found)
				}
				fmt.Fprintf(a.stdout, "run %s: ", l.run.Name)
				found.WriteText(a.stdout, l.run.Name)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}
