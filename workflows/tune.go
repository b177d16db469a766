package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// TuneInput is what one firing of a schedule does: train the policy that a service uses on what is new.
type TuneInput struct {
	// Service is whose policy it is; the schedule has the same name.
	Service string            `json:"service"`
	Source  activities.Source `json:"source"`
	// Cycles is the number of cycles to train, >= 1; Set are fields of the job that are others than in the run in service.
	Cycles int                  `json:"cycles"`
	Set    []activities.Setting `json:"set,omitempty"`
	// Replay is how many known problems are trained on beside each new one, >= 0.
	Replay float64 `json:"replay"`
	// Least is how many problems must be new, >= 1, and MinDrift how far some feature must have drifted, in nats, >= 0; else nothing is
	// trained.
	Least    int     `json:"least"`
	MinDrift float64 `json:"min_drift"`
	// Measure is how the policy in service and the trained one are compared. It is the same for every firing.
	Measure Measure `json:"measure"`
	// Alpha is the largest probability of so good a result by chance with which the trained policy is published, in (0, 1).
	Alpha float64 `json:"alpha"`
	// Keep is how many published policies stay, >= 1.
	Keep int `json:"keep"`
	// Shards and Parallel are as in [Plan].
	Shards   int `json:"shards"`
	Parallel int `json:"parallel"`
	// Attributes is as in [TrainInput].
	Attributes bool `json:"attributes,omitempty"`
}

// DefaultTuneInput trains ten cycles, as many old problems as new ones, and publishes what is better on all held-out problems at the
// level of 0.05. The last three policies are kept.
func DefaultTuneInput() TuneInput {
	p := DefaultPlan()
	return TuneInput{
		Cycles: 10, Replay: 1, Least: 1, Measure: Measure{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy},
		Alpha: 0.05, Keep: 3, Shards: p.Shards, Parallel: p.Parallel,
	}
}

// Validate joins all faults of the input; every one wraps [hone.ErrInvalid].
func (in TuneInput) Validate() error {
	faults := []error{validateName(in.Service), in.Source.Validate(), in.plan().Validate()}
	for _, n := range []struct {
		name string
		ok   bool
		is   any
		want string
	}{
		{"cycles", in.Cycles >= 1, in.Cycles, "at least 1"},
		{"replay", in.Replay >= 0 && in.Replay <= 1e6, in.Replay, "a number of at least 0"},
		{"least", in.Least >= 1, in.Least, "at least 1"},
		{"min_drift", in.MinDrift >= 0, in.MinDrift, "at least 0"},
		{"alpha", in.Alpha > 0 && in.Alpha < 1, in.Alpha, "a number between 0 and 1"},
		{"keep", in.Keep >= 1, in.Keep, "at least 1"},
	} {
		if !n.ok {
			faults = append(faults, fmt.Errorf("%s %v: want %s: %w", n.name, n.is, n.want, hone.ErrInvalid))
		}
	}
	return errors.Join(faults...)
}

// plan is that of the training: it is measured before and after, and not in between.
func (in TuneInput) plan() Plan {
	return Plan{
		Cycles: in.Cycles, Shards: in.Shards, Parallel: in.Parallel, ContinueEvery: DefaultPlan().ContinueEvery,
		Start: []Measure{in.Measure}, Final: []Measure{in.Measure},
	}
}

// TuneState is how a firing ended.
type TuneState string

// The ends.
const (
	TuneSkipped   TuneState = "skipped"
	TunePublished TuneState = "published"
	TuneRefused   TuneState = "refused"
)

// TuneResult is what a firing came to.
type TuneResult struct {
	State  TuneState `json:"state"`
	Reason string    `json:"reason"`
	// Run is the name of the run that was trained, "" where none was, and Version its head: after a refusal, the content that it began with.
	Run     string `json:"run,omitempty"`
	Version int    `json:"version,omitempty"`
	// Found is what was new, Judged the comparison; nil where there was none.
	Found  activities.Found        `json:"found"`
	Judged *activities.JudgeOutput `json:"judged,omitempty"`
}

// tunePrefix begins the ids of the workflows that a schedule starts.
const tunePrefix = "hone-tune-"

// TuneWorkflow is one firing of a schedule:
//
//	survey ─► fork of the policy in service ─► TrainWorkflow ─► judge ─► published, or refused and rolled back
//	   └─► skipped, with the reason
//
// What became of it is in the service's record (table publications) under the workflow's id.
func TuneWorkflow(ctx workflow.Context, in TuneInput) (TuneResult, error) {
	if err := in.Validate(); err != nil {
		return TuneResult{}, temporal.NewNonRetryableApplicationError(err.Error(), activities.ErrorInvalid, nil)
	}
	t := &tuning{input: in, request: workflow.GetInfo(ctx).WorkflowExecution.ID}
	if err := workflow.SetQueryHandler(ctx, QuerySummary, func() (string, error) { return in.Service + ": " + t.doing, nil }); err != nil {
		return TuneResult{}, fmt.Errorf("set handlers: %w", err)
	}
	result, err := t.run(ctx)
	if err != nil && !temporal.IsCanceledError(err) {
		kind, reason := explain(err)
		return result, temporal.NewApplicationErrorWithOptions(reason, kind, temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err})
	}
	return result, err
}

// tuning is one firing under way.
type tuning struct {
	input TuneInput
	// request is the firing's name in the service's record.
	request string
	// doing is for people.
	doing string
	act   *activities.Activities
}

func (t *tuning) run(ctx workflow.Context) (TuneResult, error) {
	in := t.input
	t.doing = "looking for what is new"
	var survey activities.SurveyOutput
	err := workflow.ExecuteActivity(call{QueueControl, 30 * time.Minute, "survey"}.context(ctx), t.act.Survey, activities.SurveyInput{
		Service: in.Service, Request: t.request, Source: in.Source, Cycles: in.Cycles, Set: in.Set,
		Replay: in.Replay, Least: in.Least, MinDrift: in.MinDrift, Keep: in.Keep,
	}).Get(ctx, &survey)
	if err != nil {
		return TuneResult{}, fmt.Errorf("survey: %w", err)
	}
	result := TuneResult{Found: survey.Found}
	if survey.Skip != "" {
		t.doing = "skipped: " + survey.Skip
		result.State, result.Reason = TuneSkipped, survey.Skip
		return result, nil
	}
	// Of the time in the id of a workflow that a schedule starts, colons don't belong into a run's name.
	result.Run = strings.ReplaceAll(strings.TrimPrefix(t.request, tunePrefix), ":", "")
	t.doing = fmt.Sprintf("training run %s on %d new problems", result.Run, survey.Found.New)
	var fork activities.ForkOutput
	err = workflow.ExecuteActivity(call{QueueControl, 2 * time.Minute, "fork " + result.Run}.context(ctx), t.act.Fork, activities.ForkInput{
		Parent: survey.Parent, Version: survey.Version, Name: result.Run, Config: survey.Config, Restart: true,
	}).Get(ctx, &fork)
	if err != nil {
		return result, fmt.Errorf("fork: %w", err)
	}
	trained, err := t.train(ctx, result.Run, survey)
	if err != nil {
		return result, err
	}
	result.Version = trained.Version
	t.doing = "comparing run " + result.Run + " with what is in service"
	judged := activities.JudgeOutput{}
	where := call{QueueControl, 10 * time.Minute, "judge " + result.Run}
	err = workflow.ExecuteActivity(where.context(ctx), t.act.Judge, activities.JudgeInput{
		Service: in.Service, Request: t.request, Run: fork.Run, Version: trained.Version, Survey: survey,
		Split: in.Measure.Split, Mode: in.Measure.Mode, Limit: in.Measure.Limit, Alpha: in.Alpha, Keep: in.Keep,
	}).Get(ctx, &judged)
	if err != nil {
		return result, fmt.Errorf("judge: %w", err)
	}
	result.Judged, result.Reason, result.State = &judged, judged.Reason, TunePublished
	if !judged.Published {
		result.State = TuneRefused
		back := activities.RollBackInput{Run: fork.Run, From: trained.Version}
		var out activities.RollBackOutput
		where := call{QueueControl, time.Minute, "roll back " + result.Run}
		err := workflow.ExecuteActivity(where.context(ctx), t.act.RollBack, back).Get(ctx, &out)
		if err != nil {
			return result, fmt.Errorf("roll back: %w", err)
		}
		result.Version = out.Version
	}
	t.doing = string(result.State) + ": " + result.Reason
	return result, nil
}

// train trains the fork in a workflow of its own, which is steered like that of any run.
func (t *tuning) train(ctx workflow.Context, run string, survey activities.SurveyOutput) (TrainResult, error) {
	in := TrainInput{Run: run, Config: survey.Config, Plan: t.input.plan(), Preset: t.input.Service, Attributes: t.input.Attributes}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: WorkflowID(run), TaskQueue: QueueControl, StaticSummary: "train " + run, TypedSearchAttributes: in.attributes(),
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL, WaitForCancellation: true,
	})
	var result TrainResult
	if err := workflow.ExecuteChildWorkflow(ctx, TrainWorkflow, in).Get(ctx, &result); err != nil {
		return result, fmt.Errorf("train run %s: %w", run, err)
	}
	if result.Status != activities.StatusSucceeded {
		return result, refuse("run %s was %s; what it has learned is not compared", run, result.Reason)
	}
	return result, nil
}
