package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// evaluated is what a run's two ends were measured at.
type evaluated struct {
	version      int
	weights      string
	start, final []activities.Evaluation
}

// result is what a finished run came to.
type result struct {
	Run     string       `json:"run"`
	Version int          `json:"version"`
	Start   []evaluation `json:"start"`
	Final   []evaluation `json:"final"`
	// Seconds is what this call took, WorkSeconds what all calls spent on cycles and supervised start.
	Seconds     float64 `json:"seconds"`
	WorkSeconds float64 `json:"work_seconds"`
	// Weights is the digest of the weights file at Path.
	Weights string `json:"weights"`
	Path    string `json:"path"`
	Next    string `json:"next,omitempty"`
}

// conclude shows the result.
func (t *training) conclude(ctx context.Context, ends evaluated) error {
	run, err := t.store.RunNamed(ctx, t.name)
	if err != nil {
		return err
	}
	metrics, err := t.store.Metrics(ctx, run.ID)
	if err != nil {
		return err
	}
	r := result{
		Run: t.name, Version: ends.version, Weights: ends.weights, Seconds: time.Since(t.began).Seconds(),
		Path: t.servers.weightsAt(ends.weights),
		Next: t.app.propose("solve", "--run", t.name, puzzleFor(t.config.Task)),
	}
	for _, e := range ends.start {
		r.Start = append(r.Start, withAccuracy(e))
	}
	for _, e := range ends.final {
		r.Final = append(r.Final, withAccuracy(e))
	}
	for _, m := range metrics {
		r.WorkSeconds += workSeconds(m)
	}
	t.view.result(r)
	return nil
}

// puzzleFor is a puzzle to try a policy on.
func puzzleFor(task string) string {
	if task == "countdown" {
		return "3 7 25 50 = 78"
	}
	return "4 5 6 10"
}

// write is the result for a person.
func (r result) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s after %d cycles\n\n", r.Run, r.Version)
	writeTable(w, r.rows())
	took := duration(time.Duration(r.Seconds * float64(time.Second)))
	if r.WorkSeconds > 1.2*r.Seconds {
		took += fmt.Sprintf(" here; training took %s in all", duration(time.Duration(r.WorkSeconds*float64(time.Second))))
	}
	fmt.Fprintf(w, "\ntime     %s\nweights  %s\n         %s\nnext     %s\n", took, r.Weights, r.Path, r.Next)
}

// rows compare both ends, a measure a row, held-out puzzles first.
func (r result) rows() [][]string {
	rows := [][]string{{"", "supervised start", "after RL", "change"}}
	find := func(in []evaluation, like evaluation) (evaluation, bool) {
		i := slices.IndexFunc(in, func(e evaluation) bool {
			return e.Split == like.Split && e.Mode == like.Mode && e.Problems == like.Problems
		})
		if i < 0 {
			return evaluation{}, false
		}
		return in[i], true
	}
	var all []evaluation
	for _, e := range slices.Concat(r.Final, r.Start) {
		if _, ok := find(all, e); !ok {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b evaluation) int { return measureRank(a) - measureRank(b) })
	for _, e := range all {
		row := []string{measureName(e.Evaluation)}
		before, okBefore := find(r.Start, e)
		after, okAfter := find(r.Final, e)
		row = append(row, accuracyCell(before, okBefore), accuracyCell(after, okAfter), "")
		if okBefore && okAfter {
			row[3] = fmt.Sprintf("%+.1f", 100*(after.Accuracy-before.Accuracy))
		}
		rows = append(rows, row)
	}
	return rows
}

func accuracyCell(e evaluation, there bool) string {
	if !there {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*e.Accuracy)
}

// measureRank orders measures: held-out, other test sets, training; within each in the order of the modes.
func measureRank(e evaluation) int {
	rank := 1
	switch e.Split {
	case hone.SplitHeldOut:
		rank = 0
	case hone.SplitTrain:
		rank = 2
	}
	modes := activities.Modes()
	at := slices.Index(modes, e.Mode)
	if at < 0 { // one that spends a budget
		at = len(modes)
	}
	return rank*(len(modes)+1) + at
}

// measureName says what was measured: "136 held-out puzzles, greedy".
func measureName(e activities.Evaluation) string {
	which := string(e.Split)
	switch e.Split {
	case hone.SplitHeldOut:
		which = "held-out"
	case hone.SplitTrain:
		which = "training"
	}
	how := string(e.Mode)
	if s, err := activities.ParseMode(e.Mode); err == nil && s.Value != "" {
		how = strings.Replace(how, string(s.Value), string(s.Value[:12]), 1)
	}
	switch e.Mode {
	case activities.ModeGreedy:
	case activities.ModeSearch:
		how = "with search"
	case activities.ModeVerified:
		how = "with verified search"
	}
	return fmt.Sprintf("%d %s puzzles, %s", e.Problems, which, how)
}

// writeTable aligns columns: the first to the left, the others to the right.
func writeTable(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
