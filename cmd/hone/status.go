package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/workflows"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [RUN]",
		Short: "Say how far a run is and what works on it (default: the newest run)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.status(ctx, s, store, name)
			})
		},
	}
}

// runStatus is all that there is to say of a run.
type runStatus struct {
	runSummary
	// Live is what works on it at the moment; nil where nothing does.
	Live *workflows.Status `json:"live,omitempty"`
	// Weights and Manifest are the digests of the newest version.
	Weights  blob.Digest `json:"weights,omitempty"`
	Manifest blob.Digest `json:"manifest,omitempty"`
	// Metrics are by iteration, -1 for what came before the first cycle.
	Metrics     map[int]map[string]float64 `json:"metrics"`
	Evaluations []evaluation               `json:"evaluations"`
}

func (a *app) status(ctx context.Context, s *servers, store *storage.Store, name string) error {
	run, err := a.runOf(ctx, store, name)
	if err != nil {
		return err
	}
	r, err := readStatus(ctx, store, run)
	if err != nil {
		return err
	}
	if run.Status == storage.StatusRunning || run.Status == storage.StatusPaused {
		r.Live = s.live(ctx, run.Name)
	}
	r.Status = statusName(run, r.Live != nil)
	if r.Live != nil {
		r.Cycles = r.Live.Progress.Cycles
	}
	if a.json {
		return a.writeJSON(r)
	}
	a.writeStatus(r, s)
	return nil
}

func readStatus(ctx context.Context, store *storage.Store, run storage.Run) (runStatus, error) {
	head, err := store.Head(ctx, run.ID)
	if err != nil {
		return runStatus{}, err
	}
	metrics, err := store.Metrics(ctx, run.ID)
	if err != nil {
		return runStatus{}, err
	}
	evaluations, err := store.Evaluations(ctx, run.ID)
	if err != nil {
		return runStatus{}, err
	}
	p, err := store.Progress(ctx, run.ID)
	if err != nil {
		return runStatus{}, err
	}
	r := runStatus{runSummary: summarise(p, evaluations), Metrics: metrics, Evaluations: []evaluation{}}
	if head.Number >= 0 {
		r.Weights, r.Manifest = head.Weights, head.Manifest()
	}
	for _, e := range evaluations {
		r.Evaluations = append(r.Evaluations, withAccuracy(newEvaluation(e)))
	}
	return r, nil
}

func (a *app) writeStatus(r runStatus, s *servers) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("run", "%s (%s, seed %d, commit %s)", r.Name, r.Task, r.Seed, r.Commit)
	line("status", "%s, %d of %d cycles", r.Status, max(r.Version, 0), r.Cycles)
	if r.Reason != "" {
		line("", "%s", r.Reason)
	}
	if r.Status == "interrupted" || r.Status == string(storage.StatusFailed) {
		line("", "to go on: %s", a.propose("train", "--run", r.Name))
	}
	if r.Live != nil {
		line("now", "%s", phaseName(r.Live.Progress.Phase))
		for _, act := range r.Live.Activities {
			line("", "%s", activityLine(act))
		}
	}
	if r.WentBackTo != nil {
		line("head", "version %d is version %d again", r.Version, *r.WentBackTo)
	}
	if r.Last != nil {
		c := *r.Last
		line("cycle", "%d: reward %s", c.Number, sumOf(c.Reward, c.Layers))
		line("", "right %.1f%% of %d trajectories, kl %.3g, entropy %.3g, %.1f s", 100*c.Right, c.Trajectories, c.KL, c.Entropy, c.Seconds)
	}
	if r.Weights != "" {
		line("weights", "%s", r.Weights)
		line("", "%s", s.weightsAt(string(r.Weights)))
	}
	if rows := accuracyByVersion(r.Evaluations); len(rows) > 1 {
		fmt.Fprintln(a.stdout)
		writeTable(a.stdout, rows)
	}
}

// activityLine is what an activity is doing, and when it was last heard of.
func activityLine(act workflows.Activity) string {
	beat := act.Heartbeat
	text := act.Name
	if beat.Phase != "" {
		text += ": " + moment{beat: &beat}.describe()
	}
	if !act.Beat.IsZero() {
		text += fmt.Sprintf(" (heard of %s ago)", duration(time.Since(act.Beat)))
	}
	if act.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d after: %s", act.Attempt, act.Failure)
	}
	return text
}

// accuracyByVersion is a table of evaluations: versions down, measures across.
func accuracyByVersion(all []evaluation) [][]string {
	measures := make(map[string]int)
	versions := make(map[int]map[string]string)
	for _, e := range all {
		name := fmt.Sprintf("%s, %s (%d)", e.Split, e.Mode, e.Problems)
		measures[name] = measureRank(e)
		if versions[e.Version] == nil {
			versions[e.Version] = make(map[string]string)
		}
		versions[e.Version][name] = accuracyCell(e, true)
	}
	names := slices.SortedFunc(maps.Keys(measures), func(a, b string) int { return measures[a] - measures[b] })
	rows := [][]string{append([]string{"version"}, names...)}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		row := []string{fmt.Sprint(version)}
		for _, name := range names {
			cell, ok := versions[version][name]
			if !ok {
				cell = "-"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}
