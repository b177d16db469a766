package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// TrainInput is what a run is started with.
type TrainInput struct {
	// Run is the run's name; the same name resumes the same run.
	Run string `json:"run"`
	// Config is the whole resolved configuration. The workflow only passes it on, to be stored with the run.
	Config json.RawMessage `json:"config,omitempty"`
	Plan   Plan            `json:"plan"`
	// Preset is the name of the configuration that the run was started with, for people; it may be "".
	Preset string `json:"preset,omitempty"`
	// Attributes is true where the server has the search attributes; [StartTrain] finds out.
	Attributes bool `json:"attributes,omitempty"`
	// Carry is what an execution hands to the one that continues it; callers leave it nil.
	Carry *Carry `json:"carry,omitempty"`
}

// Validate joins all faults of the input; every one wraps [hone.ErrInvalid].
func (in TrainInput) Validate() error { return errors.Join(validateName(in.Run), in.Plan.Validate()) }

// Carry is the part of an execution's state that isn't in the run's record.
type Carry struct {
	// Started is when the first execution of the chain began.
	Started time.Time `json:"started"`
	// Cycles is the plan's number with all extensions.
	Cycles int `json:"cycles"`
	// Stopping is a request to stop that came too late for the execution before, Paused and RollBack are those to wait and to go back.
	Stopping bool `json:"stopping,omitempty"`
	Paused   bool `json:"paused,omitempty"`
	RollBack *int `json:"roll_back,omitempty"`
	// Start are the evaluations of version 0, Latest the newest ones of a later version, and Last the newest cycle.
	Start  []activities.Evaluation `json:"start,omitempty"`
	Latest []activities.Evaluation `json:"latest,omitempty"`
	Last   *Cycle                  `json:"last,omitempty"`
}

// TrainResult is how a run ended, when it ended without an error.
type TrainResult struct {
	Run hone.RunID `json:"run"`
	// Status is succeeded, or paused where the run was stopped on request or by its guard; a paused run has no Final and no Weights.
	Status activities.Status `json:"status"`
	// Reason says why a run is paused.
	Reason string `json:"reason,omitempty"`
	// Version is the run's newest policy version, Manifest its digest and Weights the digest of its weights file.
	Version  int    `json:"version"`
	Manifest string `json:"manifest"`
	Weights  string `json:"weights,omitempty"`
	// Start and Final are the evaluations of version 0 and of Version, in the order of the plan.
	Start []activities.Evaluation `json:"start"`
	Final []activities.Evaluation `json:"final,omitempty"`
	// Last is the newest cycle that this chain of executions ran; nil where there was nothing left to do.
	Last    *Cycle    `json:"last,omitempty"`
	Started time.Time `json:"started"`
	// Seconds is the time since Started, by the server's clock.
	Seconds float64 `json:"seconds"`
}

// TrainWorkflow trains one run until its plan is done: supervised start, then cycles of rollout, score and update, with evaluations at
// both ends and in between. It answers the queries [QueryProgress] and [QuerySummary] and the updates from
// [UpdateStop] to [UpdateRollBack].
//
// It ends with an error only after the run's status says so too: failed, with the reason, or cancelled.
func TrainWorkflow(ctx workflow.Context, in TrainInput) (TrainResult, error) {
	t, err := newTraining(ctx, in)
	if err != nil {
		return TrainResult{}, err
	}
	work, interrupt := workflow.WithCancel(ctx)
	t.interrupt = interrupt
	result, err := t.run(work)
	if err != nil && t.state.Interrupted && ctx.Err() == nil && temporal.IsCanceledError(err) {
		result, err = t.pause(ctx)
	}
	if err != nil && !workflow.IsContinueAsNewError(err) {
		result, err = TrainResult{}, t.conclude(ctx, err)
	}
	// An update that was accepted is answered, whatever has become of the run.
	patient, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if e := workflow.Await(patient, func() bool { return workflow.AllHandlersFinished(ctx) }); e != nil {
		return result, errors.Join(err, e)
	}
	return result, err
}

// training is one execution of the workflow.
type training struct {
	input TrainInput
	// state is what the progress query answers.
	state Progress
	// interrupt ends the work under way.
	interrupt func()
	// manifest is the digest of the head.
	manifest string
	lookahead

	// act is nil: only its methods' names are used.
	act *activities.Activities
}

func newTraining(ctx workflow.Context, in TrainInput) (*training, error) {
	if err := in.Validate(); err != nil {
		return nil, temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrorInvalid, nil)
	}
	t := &training{input: in}
	t.state = Progress{
		Name: in.Run, Phase: PhasePrepare, Version: noVersion, Cycles: in.Plan.Cycles, Shards: in.Plan.Shards,
		Started: workflow.GetInfo(ctx).WorkflowStartTime,
	}
	if c := in.Carry; c != nil {
		t.state.Started, t.state.Cycles, t.state.Stopping = c.Started, c.Cycles, c.Stopping
		t.state.Paused, t.state.RollBack = c.Paused, c.RollBack
		t.state.Start, t.state.Latest, t.state.Last = c.Start, c.Latest, c.Last
	}
	if err := t.handle(ctx); err != nil {
		return nil, fmt.Errorf("set handlers: %w", err)
	}
	return t, nil
}

// run is the whole order of work. An error leaves the status to conclude.
func (t *training) run(ctx workflow.Context) (TrainResult, error) {
	if err := t.prepare(ctx); err != nil {
		return TrainResult{}, err
	}
	if t.state.Start == nil {
		start, err := t.evaluate(ctx, 0, t.input.Plan.Start)
		if err != nil {
			return TrainResult{}, err
		}
		t.state.Start = start
	}
	var final []activities.Evaluation
	for {
		err := t.cycles(ctx)
		t.abandon(ctx)
		if err != nil {
			return TrainResult{}, err
		}
		if t.state.Stopping && t.state.Version < t.state.Cycles {
			return t.pause(ctx)
		}
		t.state.Phase = PhaseFinal
		if final, err = t.evaluate(ctx, t.state.Version, t.input.Plan.Final); err != nil {
			return TrainResult{}, err
		}
		if t.state.Version >= t.state.Cycles {
			break
		}
		// The run was extended while its result was measured.
	}
	return t.publish(ctx, final)
}

// prepare finds where the run stands and makes version 0 where there is none.
func (t *training) prepare(ctx workflow.Context) error {
	var head activities.PrepareOutput
	err := workflow.ExecuteActivity(call{QueueControl, 2 * time.Minute, "prepare " + t.input.Run}.context(ctx),
		t.act.Prepare, activities.PrepareInput{Name: t.input.Run, Config: t.input.Config}).Get(ctx, &head)
	if err != nil {
		return fmt.Errorf("prepare run %s: %w", t.input.Run, err)
	}
	t.state.Run, t.state.Version, t.manifest = head.Run, head.Version, head.Manifest
	t.staleness = head.Staleness
	if head.Version > noVersion {
		return nil
	}
	t.state.Phase = PhaseSupervised
	var start activities.SupervisedStartOutput
	err = workflow.ExecuteActivity(call{QueueTrain, 6 * time.Hour, "supervised start"}.context(ctx),
		t.act.SupervisedStart, activities.SupervisedStartInput{Run: head.Run}).Get(ctx, &start)
	if err != nil {
		return fmt.Errorf("supervised start: %w", err)
	}
	t.state.Version, t.manifest = start.Version, start.Manifest
	return nil
}

// publish makes the newest version the run's result and the run a success.
func (t *training) publish(ctx workflow.Context, final []activities.Evaluation) (TrainResult, error) {
	t.state.Phase = PhasePublish
	var out activities.PublishOutput
	err := workflow.ExecuteActivity(call{QueueControl, 30 * time.Minute, fmt.Sprintf("publish version %d", t.state.Version)}.context(ctx),
		t.act.Publish, activities.PublishInput{Run: t.state.Run, Version: t.state.Version}).Get(ctx, &out)
	if err != nil {
		return TrainResult{}, fmt.Errorf("publish version %d: %w", t.state.Version, err)
	}
	if err := t.finish(ctx, activities.StatusSucceeded, ""); err != nil {
		return TrainResult{}, err
	}
	result := t.result(ctx, activities.StatusSucceeded)
	result.Manifest, result.Weights, result.Final = out.Manifest, out.Weights, final
	return result, nil
}

// pause ends a run that was asked to stop, or whose guard asked for it. The same command goes on with it.
func (t *training) pause(ctx workflow.Context) (TrainResult, error) {
	cause := "on request"
	if t.state.Alarm != "" {
		cause = "to be looked at (" + t.state.Alarm + ")"
	}
	reason := fmt.Sprintf("stopped %s after %d of %d cycles", cause, t.state.Version, t.state.Cycles)
	if err := t.finish(ctx, activities.StatusPaused, reason); err != nil {
		return TrainResult{}, err
	}
	result := t.result(ctx, activities.StatusPaused)
	result.Reason = reason
	return result, nil
}

func (t *training) result(ctx workflow.Context, status activities.Status) TrainResult {
	return TrainResult{
		Run: t.state.Run, Status: status, Version: t.state.Version, Manifest: t.manifest,
		Start: t.state.Start, Last: t.state.Last, Started: t.state.Started,
		Seconds: workflow.Now(ctx).Sub(t.state.Started).Seconds(),
	}
}

// setStatus writes the run's status into its record.
func (t *training) setStatus(ctx workflow.Context, status activities.Status, reason string) error {
	err := workflow.ExecuteActivity(call{QueueControl, time.Minute, "set status " + string(status)}.context(ctx),
		t.act.Finish, activities.FinishInput{Run: t.state.Run, Status: status, Reason: reason}).Get(ctx, nil)
	if err != nil {
		return fmt.Errorf("set status %s: %w", status, err)
	}
	return t.tell(ctx, status)
}

// finish sets the status with which the run ends.
func (t *training) finish(ctx workflow.Context, status activities.Status, reason string) error {
	if err := t.setStatus(ctx, status, reason); err != nil {
		return err
	}
	t.state.Phase, t.state.Status, t.state.Reason = PhaseFinished, status, reason
	return nil
}

// conclude writes the end of a run that can't go on and returns the error that the workflow ends with. A run that was never
// prepared keeps its status: the error may be that this start doesn't fit a good run of that name.
func (t *training) conclude(ctx workflow.Context, cause error) error {
	status, reason, end := activities.StatusCancelled, "cancelled on request", ctx.Err()
	if end == nil || !temporal.IsCanceledError(cause) {
		var kind string
		status = activities.StatusFailed
		kind, reason = explain(cause)
		end = temporal.NewApplicationErrorWithOptions(reason, kind, temporal.ApplicationErrorOptions{NonRetryable: true, Cause: cause})
	}
	if t.state.Run == "" {
		return end
	}
	// A cancelled context runs no more activities; this one must.
	disconnected, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := t.finish(disconnected, status, reason); err != nil {
		workflow.GetLogger(ctx).Error("run's status not written", "run_id", t.state.Run, "status", status, "error", err)
	}
	return end
}

// explain reduces an error to the type of its innermost application error and a sentence without the SDK's envelopes.
func explain(err error) (kind, reason string) {
	where := err.Error()
	if activityErr, ok := errors.AsType[*temporal.ActivityError](err); ok {
		// What this package put before the activity's error: the cycle and the step.
		where = strings.TrimSuffix(where, activityErr.Error())
		inner := errors.Unwrap(activityErr)
		if app, ok := errors.AsType[*temporal.ApplicationError](inner); ok {
			return app.Type(), where + app.Message()
		}
		return "", where + inner.Error()
	}
	return "", where
}
