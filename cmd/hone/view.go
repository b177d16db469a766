package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// view shows a run to whoever watches: a bar on a terminal, lines elsewhere, JSON for a script. Its methods are called from one
// goroutine.
type view interface {
	// note is a sentence for a person.
	note(text string)
	// moment is how far the run is; it comes once a second.
	moment(m moment)
	// cycle is a cycle that was finished, evaluation one that was made; both come once each.
	cycle(c cycle)
	evaluation(e activities.Evaluation)
	// result is what a finished run came to.
	result(r result)
	// close gives the terminal back. Notes and results may still follow.
	close()
}

// moment is a run at one time.
type moment struct {
	progress workflows.Progress
	// beat is what the activity that is running said last; nil where none does.
	beat *activities.Heartbeat
	// left is the time until all cycles are done, or outside of them until the piece of work is; 0 where it isn't known.
	left time.Duration
}

// newView is the view that suits the output.
func (a *app) newView() view {
	if a.json {
		return &jsonView{app: a}
	}
	if f, ok := a.terminal(); ok {
		return newBarView(f)
	}
	return &plainView{out: a.stdout}
}

// phaseName is a phase as a person reads it.
func phaseName(p workflows.Phase) string {
	switch p {
	case workflows.PhaseSupervised:
		return "supervised start"
	case workflows.PhaseFinal:
		return "final evaluation"
	case workflows.PhaseEvaluate:
		return "evaluation"
	case workflows.PhasePaused:
		return "paused, until hone resume"
	default:
		return string(p)
	}
}

// describe is the moment without its place among the cycles: "sample 512/1024 trajectories, 240/s".
func (m moment) describe() string {
	if m.beat == nil || m.beat.Phase == "" {
		return phaseName(m.progress.Phase)
	}
	text := m.beat.Phase
	if m.beat.Total > 0 {
		text += fmt.Sprintf(" %d/%d %s", m.beat.Done, m.beat.Total, m.beat.Unit)
	}
	if m.beat.Rate > 0 {
		text += fmt.Sprintf(", %s/s", short(m.beat.Rate))
	}
	return text
}

// inCycle tells whether the run is within a cycle.
func (m moment) inCycle() bool {
	switch m.progress.Phase {
	case workflows.PhaseRollout, workflows.PhaseScore, workflows.PhaseUpdate:
		return true
	default:
		return false
	}
}

// plainView writes a line for each event.
type plainView struct {
	out   io.Writer
	phase workflows.Phase
	wrote time.Time
}

// quiet is how long a plain view stays silent about one piece of work.
const quiet = 15 * time.Second

func (v *plainView) linef(format string, args ...any) {
	v.wrote = time.Now()
	fmt.Fprintf(v.out, format+"\n", args...)
}

func (v *plainView) note(text string) { v.linef("%s", text) }

func (v *plainView) moment(m moment) {
	changed := m.progress.Phase != v.phase
	v.phase = m.progress.Phase
	switch {
	case changed && !m.inCycle() && m.progress.Phase != workflows.PhasePublish && m.progress.Phase != workflows.PhaseFinished:
		v.linef("%s", phaseName(m.progress.Phase))
	case time.Since(v.wrote) > quiet && m.inCycle():
		v.linef("cycle %d/%d: %s", m.progress.Version+1, m.progress.Cycles, m.describe())
	case time.Since(v.wrote) > quiet:
		left := ""
		if m.left > 0 {
			left = "  left " + duration(m.left)
		}
		v.linef("%s: %s%s", phaseName(m.progress.Phase), m.describe(), left)
	}
}

func (v *plainView) cycle(c cycle) { v.linef("%s", c) }

func (v *plainView) evaluation(e activities.Evaluation) { v.linef("%s", evaluationLine(e)) }

func (v *plainView) result(r result) { r.write(v.out) }

func (v *plainView) close() {}

// String is the cycle on one line, its reward with what it is the sum of.
func (c cycle) String() string {
	parts := []string{
		fmt.Sprintf("cycle %d/%d", c.Number, c.Cycles),
		"reward " + sumOf(c.Reward, c.Layers),
		fmt.Sprintf("right %.0f%%", 100*c.Right),
		fmt.Sprintf("kl %.2g", c.KL),
		fmt.Sprintf("entropy %.2g", c.Entropy),
		fmt.Sprintf("%.1f s", c.Seconds),
	}
	if c.Staleness != nil {
		parts = append(parts, fmt.Sprintf("stored, %d updates old", *c.Staleness))
	}
	if c.Left > 0 {
		parts = append(parts, "left "+duration(c.Left))
	}
	return strings.Join(parts, "  ")
}

// sumOf is a reward with the layers that add up to it.
func sumOf(total float64, layers []activities.LayerMean) string {
	terms := make([]string, len(layers))
	for i, l := range layers {
		terms[i] = fmt.Sprintf("%s %.3f", l.Layer, l.Mean)
	}
	if len(terms) == 0 {
		return fmt.Sprintf("%.3f", total)
	}
	return fmt.Sprintf("%.3f = %s", total, strings.Join(terms, " + "))
}

// evaluationLine is an evaluation on one line.
func evaluationLine(e activities.Evaluation) string {
	which := fmt.Sprintf("version %d", e.Version)
	if e.Version == 0 {
		which = "supervised start"
	}
	return fmt.Sprintf("%s: %s: %.1f%% (%d of %d)", which, measureName(e), 100*e.Accuracy(), e.Outcomes.Right, e.Problems)
}

// duration is d for a person: "8.2 s", "5m20s", "3h04m".
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// short is a rate in few characters.
func short(v float64) string {
	switch {
	case v >= 10000:
		return fmt.Sprintf("%.0fk", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", math.Round(v*10)/10)
	}
}
