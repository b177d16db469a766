package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// barScale is the number of steps of the bar, finer than any terminal is wide.
const barScale = 1000

// barWidth is the bar's width in columns; the words beside it need the rest.
const barWidth = 24

// barView keeps one line at the bottom of a terminal up to date, and writes what stays above it.
type barView struct {
	out      *os.File
	progress *mpb.Progress
	bar      *mpb.Bar

	// mu guards what the bar's own goroutine reads.
	mu          sync.Mutex
	left, right string

	last     *cycle
	heldOut  *activities.Evaluation
	finished bool
}

func newBarView(out *os.File) *barView { return &barView{out: out} }

// start shows the bar, with the first news of the run.
func (v *barView) start() {
	v.progress = mpb.New(mpb.WithOutput(v.out), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth))
	v.bar = v.progress.New(barScale, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.BarWidth(barWidth), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return v.text(&v.left) })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return v.text(&v.right) })))
}

func (v *barView) text(of *string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return *of
}

// print writes a line that stays.
func (v *barView) print(text string) {
	if v.progress == nil || v.finished {
		fmt.Fprintln(v.out, text)
		return
	}
	// It fails only once the bar has been closed.
	_, _ = v.progress.Write([]byte(text + "\n"))
}

func (v *barView) note(text string) { v.print(text) }

func (v *barView) moment(m moment) {
	if v.finished {
		return
	}
	if v.progress == nil {
		v.start()
	}
	left, done := phaseName(m.progress.Phase), 0.0
	if m.beat != nil && m.beat.Total > 0 {
		done = float64(m.beat.Done) / float64(m.beat.Total)
	}
	if m.inCycle() {
		left = fmt.Sprintf("cycle %d/%d", m.progress.Version+1, m.progress.Cycles)
		done = float64(m.progress.Version) / float64(max(m.progress.Cycles, 1))
	}
	words := []string{v.work(m)}
	if c := v.last; c != nil && m.progress.Phase != workflows.PhaseFinal {
		words = append(words, fmt.Sprintf("reward %.2f", c.Reward), fmt.Sprintf("right %.0f%%", 100*c.Right))
	}
	if v.heldOut != nil {
		words = append(words, fmt.Sprintf("held-out %.0f%%", 100*v.heldOut.Accuracy()))
	}
	if m.left > 0 {
		words = append(words, "left "+duration(m.left))
	}
	v.mu.Lock()
	v.left, v.right = left+" ", " "+strings.Join(words, "  ")
	v.mu.Unlock()
	// The bar would close itself at its end.
	v.bar.SetCurrent(min(int64(done*barScale), barScale-1))
}

// work is what is being done and how fast. The work of a short cycle is over before it was heard of often enough to know its rate;
// the last cycle's then stands for it.
func (v *barView) work(m moment) string {
	if v.last == nil || !m.inCycle() || (m.beat != nil && m.beat.Rate > 0) {
		return m.describe()
	}
	switch m.progress.Phase {
	case workflows.PhaseRollout:
		return fmt.Sprintf("rollout, %s trajectories/s", short(v.last.SampleRate))
	case workflows.PhaseUpdate:
		return fmt.Sprintf("update, %s tokens/s", short(v.last.TrainRate))
	default:
		return m.describe()
	}
}

func (v *barView) cycle(c cycle) { v.last = &c }

func (v *barView) evaluation(e activities.Evaluation) {
	if e.Split == hone.SplitHeldOut && e.Mode == activities.ModeGreedy {
		v.heldOut = &e
	}
	v.print(evaluationLine(e))
}

func (v *barView) result(r result) { r.write(v.out) }

func (v *barView) close() {
	if v.progress != nil && !v.finished {
		v.bar.Abort(true)
		v.progress.Wait()
	}
	v.finished = true
}
