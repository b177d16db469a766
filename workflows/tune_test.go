package workflows_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/gate"
	"github.com/hone-rl/hone/workflows"
)

const firing = "hone-tune-nightly-2026-11-22T03:00:00Z"

func tune() workflows.TuneInput {
	in := workflows.DefaultTuneInput()
	in.Service, in.Source, in.Cycles = "nightly", activities.Source{Dir: "/problems"}, 4
	return in
}

// newTuneBench has a survey that found three new problems, and a training of them that succeeds.
func newTuneBench(t *testing.T, survey activities.SurveyOutput) *bench {
	t.Helper()
	b := newBench(t)
	b.RegisterWorkflow(workflows.TrainWorkflow)
	b.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: firing, TaskQueue: workflows.QueueControl})
	in := tune()
	b.OnActivity(b.act.Survey, mock.Anything, activities.SurveyInput{
		Service: "nightly", Request: firing, Source: in.Source, Cycles: 4, Replay: 1, Least: 1, Keep: 3,
	}).Return(survey, nil)
	return b
}

// found is a survey of three new problems, for a policy that is version 7 of a run.
var found = activities.SurveyOutput{
	Parent: runID, Version: 7, Fresh: "new", Config: json.RawMessage(`{"seed":1}`), Found: activities.Found{New: 3, Old: 100},
}

const forked = hone.RunID("9c0ad2b3-0f3c-4b1e-8d3c-6d2f6a2f9f11")

// trains mocks what follows a survey, up to the judgement.
func (b *bench) trains(judged activities.JudgeOutput, status activities.Status) {
	b.OnActivity(b.act.Fork, mock.Anything, activities.ForkInput{
		Parent: runID, Version: 7, Name: "nightly-2026-11-22T030000Z", Config: found.Config, Restart: true,
	}).Return(activities.ForkOutput{Run: forked}, nil)
	measure := []workflows.Measure{{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy}}
	b.OnWorkflow(workflows.TrainWorkflow, mock.Anything, workflows.TrainInput{
		Run: "nightly-2026-11-22T030000Z", Config: found.Config, Preset: "nightly",
		Plan: workflows.Plan{Cycles: 4, Shards: 4, Parallel: 2, Start: measure, Final: measure, ContinueEvery: 50},
	}).Return(workflows.TrainResult{Run: forked, Status: status, Version: 4, Reason: "stopped on request after 4 of 4 cycles"}, nil)
	b.OnActivity(b.act.Judge, mock.Anything, activities.JudgeInput{
		Service: "nightly", Request: firing, Run: forked, Version: 4, Survey: found,
		Split: hone.SplitHeldOut, Mode: activities.ModeGreedy, Alpha: 0.05, Keep: 3,
	}).Return(judged, nil)
	b.OnActivity(b.act.RollBack, mock.Anything, activities.RollBackInput{Run: forked, From: 4}).
		Return(activities.RollBackOutput{Version: 5}, nil)
}

func (b *bench) tune(in workflows.TuneInput) (result workflows.TuneResult) {
	b.t.Helper()
	b.ExecuteWorkflow(workflows.TuneWorkflow, in)
	require.True(b.t, b.IsWorkflowCompleted())
	if b.GetWorkflowError() == nil {
		require.NoError(b.t, b.GetWorkflowResult(&result))
	}
	return result
}

func TestTunePublishesWhatIsBetter(t *testing.T) {
	t.Parallel()
	b := newTuneBench(t, found)
	judged := activities.JudgeOutput{Published: true, Reason: "p = 0.0100", Number: 3, Pairs: gate.Pairs{Wins: 12, Losses: 1}, P: 0.01}
	b.trains(judged, activities.StatusSucceeded)
	result := b.tune(tune())
	require.NoError(t, b.GetWorkflowError())
	require.Equal(t, workflows.TuneResult{
		State: workflows.TunePublished, Reason: "p = 0.0100", Run: "nightly-2026-11-22T030000Z", Version: 4,
		Found: found.Found, Judged: &judged,
	}, result)
	b.AssertActivityNotCalled(t, "RollBack", mock.Anything, mock.Anything)
}

func TestTuneRollsBackWhatIsRefused(t *testing.T) {
	t.Parallel()
	b := newTuneBench(t, found)
	b.trains(activities.JudgeOutput{Reason: "p = 0.9000, want at most 0.05"}, activities.StatusSucceeded)
	result := b.tune(tune())
	require.NoError(t, b.GetWorkflowError())
	require.Equal(t, workflows.TuneRefused, result.State)
	require.Equal(t, 5, result.Version, "which has the content of version 0")
	b.AssertActivityNumberOfCalls(t, "RollBack", 1)
	value, err := b.QueryWorkflow(workflows.QuerySummary)
	require.NoError(t, err)
	var summary string
	require.NoError(t, value.Get(&summary))
	require.Equal(t, "nightly: refused: p = 0.9000, want at most 0.05", summary)
}

func TestTuneSkipsWithAReason(t *testing.T) {
	t.Parallel()
	b := newTuneBench(t, activities.SurveyOutput{Skip: "nothing is new", Found: activities.Found{Known: 9}})
	result := b.tune(tune())
	require.Equal(t, workflows.TuneResult{State: workflows.TuneSkipped, Reason: "nothing is new", Found: activities.Found{Known: 9}}, result)
	b.AssertActivityNotCalled(t, "Fork", mock.Anything, mock.Anything)
}

func TestTuneComparesNothingThatWasStopped(t *testing.T) {
	t.Parallel()
	b := newTuneBench(t, found)
	b.trains(activities.JudgeOutput{}, activities.StatusPaused)
	b.tune(tune())
	require.ErrorContains(t, b.GetWorkflowError(), "run nightly-2026-11-22T030000Z was stopped on request")
	b.AssertActivityNotCalled(t, "Judge", mock.Anything, mock.Anything)
}

func TestTuneFailsWithItsReason(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Survey, mock.Anything, mock.Anything).Return(activities.SurveyOutput{},
		temporal.NewApplicationError("policy of service \"nightly\": not found", activities.ErrorNotFound))
	b.tune(tune())
	require.Equal(t, activities.ErrorNotFound, b.failure().Type())
	require.Equal(t, `survey: policy of service "nightly": not found`, b.failure().Message())
}

func TestTuneInputNamesEveryFault(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.tune(workflows.TuneInput{Service: "a b", Replay: -1, MinDrift: -1})
	for _, fault := range []string{
		`"a b"`, "source of new problems", "cycles 0", "shards 0", "replay -1", "least 0", "min_drift -1", "alpha 0", "keep 0", "split is empty",
	} {
		require.ErrorContains(t, b.failure(), fault)
	}
}

func TestScheduleInputNamesEveryFault(t *testing.T) {
	t.Parallel()
	good := workflows.ScheduleInput{
		Tune: tune(), Every: 24 * time.Hour, Overlap: workflows.OverlapSkip, CatchUp: workflows.DefaultCatchUp,
	}
	require.NoError(t, good.Validate())
	err := workflows.ScheduleInput{Overlap: "both", Every: time.Second}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, fault := range []string{"run name", `overlap "both"`, "interval 1s", "catch-up 0s"} {
		require.ErrorContains(t, err, fault)
	}
	good.Crons = []string{"0 3 * * *"}
	require.ErrorContains(t, good.Validate(), "want one of both")
}
