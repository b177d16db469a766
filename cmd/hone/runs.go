package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
)

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runs",
		Short: "List all runs, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.look(cmd.Context(), accessRead, a.runs)
			if errors.Is(err, errNoRuns) {
				return a.listRuns(nil)
			}
			return err
		},
	}
}

// runSummary is one run in a list.
type runSummary struct {
	Name    string     `json:"name"`
	Run     hone.RunID `json:"run"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason,omitempty"`
	Task    string     `json:"task"`
	Seed    uint64     `json:"seed"`
	Version int        `json:"version"`
	Cycles  int        `json:"cycles"`
	Created time.Time  `json:"created"`
	Commit  string     `json:"commit"`
	// WentBackTo is the older version whose content Version has again; nil where it was trained.
	WentBackTo *int `json:"went_back_to,omitempty"`
	// Last is the cycle that made that content.
	Last    *cycle      `json:"last,omitempty"`
	HeldOut *evaluation `json:"held_out,omitempty"`
}

func (a *app) runs(ctx context.Context, s *servers, store *storage.Store) error {
	all, err := store.Runs(ctx)
	if err != nil {
		return err
	}
	list := make([]runSummary, len(all))
	for i, p := range all {
		evaluations, err := store.Evaluations(ctx, p.ID)
		if err != nil {
			return err
		}
		list[i] = summarise(p, evaluations)
		list[i].Status = statusName(p.Run, p.Status == storage.StatusRunning && s.live(ctx, p.Name) != nil)
	}
	return a.listRuns(list)
}

func (a *app) listRuns(list []runSummary) error {
	if a.json {
		if list == nil {
			list = []runSummary{}
		}
		return a.writeJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintf(a.stdout, "no runs yet; start one with: %s\n", a.propose("train", "--preset", "demo"))
		return nil
	}
	rows := [][]string{{"run", "status", "cycles", "reward", "right", "held-out", "created"}}
	for _, r := range list {
		row := []string{
			r.Name, r.Status, fmt.Sprintf("%d/%d", max(r.Version, 0), r.Cycles), "-", "-", "-", r.Created.Local().Format("2006-01-02 15:04"),
		}
		if r.Last != nil {
			row[3], row[4] = fmt.Sprintf("%.3f", r.Last.Reward), fmt.Sprintf("%.0f%%", 100*r.Last.Right)
		}
		if r.HeldOut != nil {
			row[5] = fmt.Sprintf("%.1f%%", 100*r.HeldOut.Accuracy)
		}
		rows = append(rows, row)
	}
	writeTable(a.stdout, rows)
	return nil
}

// summarise is a run with the cycle that made its policy, and the newest measure of its greedy accuracy on held-out problems: of a run that
// went back, among those up to the version that it went back to and of the head.
func summarise(p storage.Progress, evaluations []storage.Evaluation) runSummary {
	r := runSummary{
		Name: p.Name, Run: p.ID, Reason: p.Error, Seed: p.Seed, Version: p.Version, Created: p.Created, Commit: p.Commit,
	}
	// A job of another hone still shows its name, its status and its numbers.
	if job, err := storedJob(p.Config); err == nil {
		r.Task, r.Cycles = job.Task, job.Cycles
	}
	r.Cycles = max(r.Cycles, p.Version)
	if p.Content < p.Version {
		r.WentBackTo = &p.Content
	}
	if p.Iteration >= 0 {
		last := newCycle(p.Iteration, r.Cycles, p.Metrics)
		r.Last = &last
	}
	for _, e := range evaluations {
		of := e.Version <= p.Content || e.Version == p.Version
		if of && e.Split == hone.SplitHeldOut && e.Mode == string(activities.ModeGreedy) {
			newest := withAccuracy(newEvaluation(e))
			r.HeldOut = &newest // they come by version
		}
	}
	return r
}
