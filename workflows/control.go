package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
)

// The names of the updates that [TrainWorkflow] takes.
const (
	// UpdateStop ends the run after the cycle it is in, as paused; it returns a [Progress].
	UpdateStop = "stop"
	// UpdateStopNow ends it at once, as paused: the cycle it is in is interrupted, and what it has stored stays. It returns a [Progress].
	UpdateStopNow = "stop_now"
	// UpdateExtend takes the new number of cycles of the whole run and returns a [Progress]. It names the total rather than
	// the increase, so that saying it twice is saying it once.
	UpdateExtend = "extend"
	// UpdatePause keeps the run waiting after the cycle it is in, until UpdateResume; both return a [Progress].
	UpdatePause  = "pause"
	UpdateResume = "resume"
	// UpdateChange takes a list of [activities.Setting] and returns an [activities.ChangeOutput]: what was recorded, and from which
	// cycle it holds. See [activities.Changeable].
	UpdateChange = "change"
	// UpdateRollBack takes a version's number and returns a [Progress]: after the cycle the run is in, that version's content becomes the
	// next version.
	UpdateRollBack = "roll_back"
)

// handle answers queries and updates from now on. Only the handler of UpdateChange waits, for its activity; an execution ends when
// all have finished.
func (t *training) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (Progress, error) { return t.state, nil }); err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, QuerySummary, func() (string, error) { return t.state.String(), nil }); err != nil {
		return err
	}
	for _, simple := range []struct {
		name string
		do   func()
	}{
		{UpdateStop, func() { t.state.Stopping = true }},
		{UpdateStopNow, func() {
			t.state.Stopping, t.state.Interrupted = true, true
			t.interrupt()
		}},
		{UpdatePause, func() { t.state.Paused = true }},
		{UpdateResume, func() { t.state.Paused = false }},
	} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, simple.name, func(workflow.Context) (Progress, error) {
			simple.do()
			return t.state, nil
		}, workflow.UpdateHandlerOptions{Validator: func() error { return t.open(simple.name) }})
		if err != nil {
			return err
		}
	}
	return t.handleNumbers(ctx)
}

// handleNumbers answers the updates that say more than their name.
func (t *training) handleNumbers(ctx workflow.Context) error {
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateExtend,
		func(_ workflow.Context, cycles int) (Progress, error) {
			t.state.Cycles = cycles
			return t.state, nil
		},
		workflow.UpdateHandlerOptions{Validator: func(cycles int) error {
			if cycles < t.state.Cycles {
				return refuse("extend run %s to %d cycles: it has %d already", t.input.Run, cycles, t.state.Cycles)
			}
			return t.open(UpdateExtend)
		}})
	if err != nil {
		return err
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, UpdateRollBack,
		func(_ workflow.Context, version int) (Progress, error) {
			t.state.RollBack = &version
			return t.state, nil
		},
		workflow.UpdateHandlerOptions{Validator: func(version int) error {
			if version < 0 || version >= t.state.Version {
				return refuse("roll run %s back to version %d: it is at version %d; want one of 0 to %d",
					t.input.Run, version, t.state.Version, t.state.Version-1)
			}
			return t.open(UpdateRollBack)
		}})
	if err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateChange, t.change,
		workflow.UpdateHandlerOptions{Validator: func(set []activities.Setting) error {
			if len(set) == 0 {
				return refuse("change settings of run %s: none is given", t.input.Run)
			}
			return t.open(UpdateChange)
		}})
}

// open refuses what comes too late to have an effect, or has it already.
func (t *training) open(what string) error {
	over := t.state.Version >= t.state.Cycles
	switch {
	case t.state.Phase == PhasePublish || t.state.Phase == PhaseFinished:
		return refuse("%s run %s: its cycles are over", what, t.input.Run)
	case (what == UpdateStop || what == UpdatePause) && over:
		return refuse("%s run %s: all %d cycles are done and the result is being measured", what, t.input.Run, t.state.Cycles)
	case (what == UpdateChange || what == UpdateRollBack) && t.state.Phase == PhaseFinal:
		return refuse("%s run %s: all %d cycles are done and the result is being measured; extend it first", what, t.input.Run, t.state.Cycles)
	case what == UpdatePause && t.state.Stopping:
		return refuse("pause run %s: it is stopping", t.input.Run)
	case what == UpdatePause && t.state.Paused:
		return refuse("pause run %s: it is paused already", t.input.Run)
	case what == UpdateResume && !t.state.Paused:
		return refuse("resume run %s: it is not paused", t.input.Run)
	case (what == UpdateChange || what == UpdateStopNow) && t.state.Run == "":
		return refuse("%s run %s: it is being prepared; try again in a moment", what, t.input.Run)
	default:
		return nil
	}
}

func refuse(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), activities.ErrorInvalid, nil)
}

// change records other settings. It isn't interrupted with a cycle.
func (t *training) change(ctx workflow.Context, set []activities.Setting) (activities.ChangeOutput, error) {
	var out activities.ChangeOutput
	in := activities.ChangeInput{Run: t.state.Run, Request: "update/" + workflow.GetCurrentUpdateInfo(ctx).ID, Set: set}
	err := workflow.ExecuteActivity(call{QueueControl, time.Minute, "change settings"}.context(ctx), t.act.Change, in).Get(ctx, &out)
	if err != nil {
		kind, reason := explain(err)
		return out, temporal.NewNonRetryableApplicationError(reason, kind, err)
	}
	t.state.Changes = append(t.state.Changes, out.Changes...)
	return out, nil
}

// between does what was asked for between two cycles: it goes back to an older version, and waits while the run is paused.
func (t *training) between(ctx workflow.Context) error {
	for t.state.RollBack != nil || t.waiting() {
		if t.state.RollBack != nil {
			if err := t.rollBack(ctx); err != nil {
				return err
			}
			continue
		}
		reason := fmt.Sprintf("paused on request after %d of %d cycles", t.state.Version, t.state.Cycles)
		if err := t.setStatus(ctx, activities.StatusPaused, reason); err != nil {
			return err
		}
		t.state.Phase = PhasePaused
		if err := workflow.Await(ctx, func() bool { return t.state.RollBack != nil || !t.waiting() }); err != nil {
			return err
		}
		if t.state.Stopping { // its status stays what it is
			return nil
		}
		if err := t.setStatus(ctx, activities.StatusRunning, ""); err != nil {
			return err
		}
	}
	return nil
}

// waiting tells that nothing is to begin.
func (t *training) waiting() bool { return t.state.Paused && !t.state.Stopping }

// rollBack makes an older version's content the next version.
func (t *training) rollBack(ctx workflow.Context) error {
	t.abandon(ctx)
	in := activities.RollBackInput{Run: t.state.Run, From: t.state.Version, To: *t.state.RollBack}
	t.state.RollBack = nil
	var out activities.RollBackOutput
	what := fmt.Sprintf("go back to version %d", in.To)
	if err := workflow.ExecuteActivity(call{QueueControl, time.Minute, what}.context(ctx), t.act.RollBack, in).Get(ctx, &out); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	t.state.Version, t.manifest = out.Version, out.Manifest
	return nil
}
