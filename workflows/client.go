package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// startAttempts is how often StartTrain tries again when the execution it meant to join has just ended.
const startAttempts = 5

// WorkflowID is the Temporal id of a run's workflow.
func WorkflowID(run string) string { return "hone-train-" + run }

// Training is a run that has been started or joined.
type Training struct {
	// Attached is true where the run was being trained already, with the configuration that it was started with.
	Attached bool

	run  string
	flow client.WorkflowRun
}

// StartTrain trains a run: it joins the execution that is training it, or starts one, which goes on from the run's head. Joining
// with more cycles in the plan than the run has extends it, for which a worker must be polling [QueueControl].
func StartTrain(ctx context.Context, c client.Client, in TrainInput) (*Training, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}
	options := client.StartWorkflowOptions{
		ID:                                       WorkflowID(in.Run),
		TaskQueue:                                QueueControl,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "train " + in.Run,
	}
	in.Attributes = knowsAttributes(ctx, c)
	options.TypedSearchAttributes = in.attributes()
	for range startAttempts {
		flow, err := c.ExecuteWorkflow(ctx, options, TrainWorkflow, in)
		if err == nil {
			return &Training{run: in.Run, flow: flow}, nil
		}
		if _, running := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); !running {
			return nil, fmt.Errorf("start run %s: %w", in.Run, translate(err))
		}
		progress, err := ReadProgress(ctx, c, in.Run)
		if err == nil && in.Plan.Cycles > progress.Cycles {
			_, err = Extend(ctx, c, in.Run, in.Plan.Cycles)
		}
		if err == nil {
			return &Training{Attached: true, run: in.Run, flow: c.GetWorkflow(ctx, WorkflowID(in.Run), "")}, nil
		}
		if !errors.Is(err, hone.ErrNotFound) && !errors.Is(err, hone.ErrInvalid) {
			return nil, fmt.Errorf("join run %s: %w", in.Run, err)
		}
		// It ended, or is ending, after all: start anew.
	}
	return nil, fmt.Errorf("start run %s: it is just ending; try again: %w", in.Run, hone.ErrConflict)
}

// Wait blocks until the run has ended, over all its executions, or ctx has; the run goes on without being waited for. A failed
// run's error wraps the sentinel of the activity that failed, where it had one; a cancelled run's wraps [context.Canceled].
func (t *Training) Wait(ctx context.Context) (TrainResult, error) {
	var result TrainResult
	if err := t.flow.Get(ctx, &result); err != nil {
		return TrainResult{}, fmt.Errorf("run %s: %w", t.run, translate(err))
	}
	return result, nil
}

// ReadProgress asks a run's newest execution how far it is. It needs a worker that polls [QueueControl], also for a run that has ended.
func ReadProgress(ctx context.Context, c client.Client, run string) (Progress, error) {
	var progress Progress
	value, err := c.QueryWorkflow(ctx, WorkflowID(run), "", QueryProgress)
	if err == nil {
		err = value.Get(&progress)
	}
	if err != nil {
		return Progress{}, fmt.Errorf("progress of run %s: %w", run, translate(err))
	}
	return progress, nil
}

// Status is a run as Temporal sees it.
type Status struct {
	Progress Progress `json:"progress"`
	// State is the execution's: running, completed, failed, canceled, terminated or timed_out.
	State string `json:"state"`
	// Activities are those waiting, running, or waiting to be tried again.
	Activities []Activity `json:"activities,omitempty"`
}

// Activity is one activity that has not ended.
type Activity struct {
	// Name is the method's.
	Name string `json:"name"`
	// Attempt counts from 1.
	Attempt int `json:"attempt"`
	// Started is when this attempt began, and Beat when it was last heard of; zero while it waits.
	Started time.Time `json:"started,omitzero"`
	Beat    time.Time `json:"beat,omitzero"`
	// Heartbeat is what it said then.
	Heartbeat activities.Heartbeat `json:"heartbeat"`
	// Failure is why the attempt before failed; "" on the first.
	Failure string `json:"failure,omitempty"`
}

// ReadStatus is [ReadProgress] with what the run's activities are doing at the moment.
func ReadStatus(ctx context.Context, c client.Client, run string) (Status, error) {
	progress, err := ReadProgress(ctx, c, run)
	if err != nil {
		return Status{}, err
	}
	description, err := c.DescribeWorkflowExecution(ctx, WorkflowID(run), "")
	if err != nil {
		return Status{}, fmt.Errorf("status of run %s: %w", run, translate(err))
	}
	status := Status{Progress: progress, State: stateName(description.GetWorkflowExecutionInfo().GetStatus())}
	for _, pending := range description.GetPendingActivities() {
		status.Activities = append(status.Activities, newActivity(pending))
	}
	return status, nil
}

func stateName(s enumspb.WorkflowExecutionStatus) string {
	switch s {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return "completed"
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return "failed"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return "canceled"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "terminated"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed_out"
	default:
		return "running"
	}
}

func newActivity(pending *workflowpb.PendingActivityInfo) Activity {
	a := Activity{
		Name: pending.GetActivityType().GetName(), Attempt: int(pending.GetAttempt()), Failure: pending.GetLastFailure().GetMessage(),
	}
	if t := pending.GetLastStartedTime(); t != nil {
		a.Started = t.AsTime()
	}
	if t := pending.GetLastHeartbeatTime(); t != nil {
		a.Beat = t.AsTime()
	}
	// Details that don't decode are from another version of hone; the rest still tells something.
	_ = converter.GetDefaultDataConverter().FromPayloads(pending.GetHeartbeatDetails(), &a.Heartbeat)
	return a
}

// Stop asks a run to end after the cycle it is in, as paused.
func Stop(ctx context.Context, c client.Client, run string) (Progress, error) {
	return update[Progress](ctx, c, run, UpdateStop)
}

// StopNow asks a run to end at once, as paused. The cycle under way is lost; what it stored stays for the next execution.
func StopNow(ctx context.Context, c client.Client, run string) (Progress, error) {
	return update[Progress](ctx, c, run, UpdateStopNow)
}

// Pause asks a run to wait after the cycle it is in.
func Pause(ctx context.Context, c client.Client, run string) (Progress, error) {
	return update[Progress](ctx, c, run, UpdatePause)
}

// Resume asks a run that waits, or is about to, to go on.
func Resume(ctx context.Context, c client.Client, run string) (Progress, error) {
	return update[Progress](ctx, c, run, UpdateResume)
}

// Extend raises the number of cycles of the whole run.
func Extend(ctx context.Context, c client.Client, run string, cycles int) (Progress, error) {
	return update[Progress](ctx, c, run, UpdateExtend, cycles)
}

// Change makes settings of a run others from its next cycle on; see [activities.Changeable].
func Change(ctx context.Context, c client.Client, run string, set []activities.Setting) (activities.ChangeOutput, error) {
	return update[activities.ChangeOutput](ctx, c, run, UpdateChange, set)
}

// RollBack asks a run to go on from an older version after the cycle it is in.
func RollBack(ctx context.Context, c client.Client, run string, version int) (Progress, error) {
	return update[Progress](ctx, c, run, UpdateRollBack, version)
}

func update[T any](ctx context.Context, c client.Client, run, name string, args ...any) (T, error) {
	var answer, none T
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: WorkflowID(run), UpdateName: name, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &answer)
	}
	if err == nil {
		return answer, nil
	}
	err = translate(err)
	if strings.Contains(err.Error(), " run "+run) { // what refused it says already what it refused
		return none, err
	}
	return none, fmt.Errorf("%s run %s: %w", name, run, err)
}

// Cancel asks a run to end at once, as cancelled. The cycle under way is lost; what it stored stays for the next execution.
func Cancel(ctx context.Context, c client.Client, run string) error {
	if err := c.CancelWorkflow(ctx, WorkflowID(run), ""); err != nil {
		return fmt.Errorf("cancel run %s: %w", run, translate(err))
	}
	return nil
}

// translate turns Temporal's errors into the root package's, and drops the envelopes around an application error.
func translate(err error) error {
	var app *temporal.ApplicationError
	var missing *serviceerror.NotFound
	var away *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	switch {
	case errors.As(err, &app):
		if sentinel := sentinelOf(app.Type()); sentinel != nil {
			// The message was made from an error that wrapped the sentinel, so it mostly ends with its words.
			return fmt.Errorf("%s: %w", strings.TrimSuffix(app.Message(), ": "+sentinel.Error()), sentinel)
		}
		return errors.New(app.Message()) //nolint:err113 // what another process said
	case errors.As(err, &missing):
		return fmt.Errorf("%w: %w", err, hone.ErrNotFound)
	case errors.As(err, &away), errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", err, hone.ErrUnavailable)
	case temporal.IsCanceledError(err):
		return fmt.Errorf("cancelled: %w", context.Canceled)
	default:
		return err
	}
}

func sentinelOf(kind string) error {
	switch kind {
	case activities.ErrorInvalid:
		return hone.ErrInvalid
	case activities.ErrorNotFound:
		return hone.ErrNotFound
	case activities.ErrorNonFinite:
		return hone.ErrNonFinite
	case activities.ErrorCorrupt:
		return hone.ErrCorrupt
	default:
		return nil
	}
}
