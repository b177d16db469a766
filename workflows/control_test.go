package workflows_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// summary is what the query of that name answers when the workflow has run for after.
func (b *bench) summary(after time.Duration) *string {
	text := new(string)
	b.RegisterDelayedCallback(func() {
		value, err := b.QueryWorkflow(workflows.QuerySummary)
		require.NoError(b.t, err)
		require.NoError(b.t, value.Get(text))
	}, after)
	return text
}

func TestPauseWaitsAfterTheCycleUntilResumed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	early := b.send(10*time.Minute, workflows.UpdateResume)
	pause := b.send(30*time.Minute, workflows.UpdatePause)
	twice := b.send(40*time.Minute, workflows.UpdatePause)
	pausing, paused := b.summary(45*time.Minute), b.summary(5*time.Hour)
	resume := b.send(20*time.Hour, workflows.UpdateResume)
	b.train(input(2))
	require.ErrorContains(t, early.rejected, "resume run demo: it is not paused")
	require.True(t, pause.accepted)
	require.True(t, pause.progress.Paused)
	require.Equal(t, workflows.PhaseUpdate, pause.progress.Phase)
	require.ErrorContains(t, twice.rejected, "it is paused already")
	require.Equal(t, "demo: cycle 1 of 2, at its update; pausing after this cycle", *pausing)
	require.Equal(t, "demo: paused, 1 of 2 cycles are done; cycle 1 earned 0.500 with 0 of 24 right", *paused)
	require.True(t, resume.accepted)

	require.Equal(t, activities.StatusSucceeded, b.result().Status)
	require.Greater(t, b.result().Seconds, (20 * time.Hour).Seconds())
	require.Equal(t, []activities.FinishInput{
		{Run: runID, Status: activities.StatusPaused, Reason: "paused on request after 1 of 2 cycles"},
		{Run: runID, Status: activities.StatusRunning},
		{Run: runID, Status: activities.StatusSucceeded},
	}, b.finished)
}

func TestAPausedRunCanBeStopped(t *testing.T) {
	t.Parallel()
	for _, name := range []string{workflows.UpdateStop, workflows.UpdateStopNow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.slow()
			b.send(30*time.Minute, workflows.UpdatePause)
			stop := b.send(5*time.Hour, name)
			b.train(input(2))
			require.True(t, stop.accepted)
			require.Equal(t, activities.StatusPaused, b.result().Status)
			require.Equal(t, "stopped on request after 1 of 2 cycles", b.result().Reason)
		})
	}
}

func TestStopNowInterruptsTheCycle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	stop := b.send(90*time.Minute, workflows.UpdateStopNow) // In the second cycle.
	b.train(input(5))
	require.True(t, stop.accepted)
	require.True(t, stop.progress.Interrupted)
	require.Equal(t, activities.StatusPaused, b.result().Status)
	require.Equal(t, 1, b.result().Version)
	require.Less(t, b.result().Seconds, (2 * time.Hour).Seconds())
	require.Equal(t, []activities.FinishInput{
		{Run: runID, Status: activities.StatusPaused, Reason: "stopped on request after 1 of 5 cycles"},
	}, b.finished)
}

func TestChangeRecordsAndSaysFromWhichCycleItHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	set := []activities.Setting{{Key: "ppo.kl_coef", Value: json.RawMessage("0.5")}}
	made := activities.Changed{Key: "ppo.kl_coef", Old: json.RawMessage("0.01"), New: json.RawMessage("0.5"), Iteration: 1}
	var asked []activities.ChangeInput
	b.OnActivity(b.act.Change, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.ChangeInput) (activities.ChangeOutput, error) {
			asked = append(asked, in)
			if in.Set[0].Key != "ppo.kl_coef" {
				return activities.ChangeOutput{}, temporal.NewApplicationError("prompts can't change within a run: invalid", activities.ErrorInvalid)
			}
			return activities.ChangeOutput{Changes: []activities.Changed{made}}, nil
		})
	b.slow()
	var out activities.ChangeOutput
	var fault, nothing error
	b.RegisterDelayedCallback(func() {
		b.UpdateWorkflow(workflows.UpdateChange, "one", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { require.NoError(t, err) },
			OnComplete: func(result any, err error) {
				require.NoError(t, err)
				out = result.(activities.ChangeOutput)
			},
		}, set)
		b.UpdateWorkflow(workflows.UpdateChange, "two", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { require.NoError(t, err) },
			OnComplete: func(_ any, err error) { fault = err },
		}, []activities.Setting{{Key: "prompts", Value: json.RawMessage("8")}})
		b.UpdateWorkflow(workflows.UpdateChange, "three", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { nothing = err }, OnComplete: func(any, error) {},
		}, []activities.Setting{})
	}, 30*time.Minute)
	summary := b.summary(80 * time.Minute)
	b.train(input(2))
	require.Equal(t, activities.ChangeOutput{Changes: []activities.Changed{made}}, out)
	require.Contains(t, asked, activities.ChangeInput{Run: runID, Request: "update/one", Set: set})
	require.ErrorContains(t, fault, "prompts can't change within a run")
	require.ErrorContains(t, nothing, "none is given")
	require.Contains(t, *summary, "; ppo.kl_coef 0.01 -> 0.5 from cycle 2")
	require.Equal(t, activities.StatusSucceeded, b.result().Status, "a change that is refused does the run no harm")
}

// An update that was accepted is answered, also where its activity is still at work when the cycles are over.
func TestARunEndsAfterTheUpdatesItHasAccepted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Change, mock.Anything, mock.Anything).After(100*time.Hour).Return(activities.ChangeOutput{}, nil)
	b.slow()
	change := b.send(30*time.Minute, workflows.UpdateChange, []activities.Setting{{Key: "ppo.epochs", Value: json.RawMessage("2")}})
	b.train(input(1))
	require.True(t, change.accepted)
	require.NoError(t, change.err)
	require.Equal(t, activities.StatusSucceeded, b.result().Status)
}

func TestRollBackGoesOnFromTheOlderVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var asked []activities.RollBackInput
	b.OnActivity(b.act.RollBack, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.RollBackInput) (activities.RollBackOutput, error) {
			asked = append(asked, in)
			return activities.RollBackOutput{Version: in.From + 1, Manifest: "older"}, nil
		})
	b.slow()
	beyond := b.send(150*time.Minute, workflows.UpdateRollBack, 2)
	back := b.send(150*time.Minute, workflows.UpdateRollBack, 1) // In the third cycle.
	b.train(input(5))
	require.ErrorContains(t, beyond.rejected, "roll run demo back to version 2: it is at version 2; want one of 0 to 1")
	require.True(t, back.accepted)
	require.Equal(t, []activities.RollBackInput{{Run: runID, From: 3, To: 1}}, asked)
	require.Equal(t, 5, b.result().Version)
	b.AssertActivityNumberOfCalls(t, "Update", 4) // One cycle was spent on going back.
}

// Who goes back in the last cycle gets the older version as the result.
func TestRollBackInTheLastCycle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.RollBack, mock.Anything, mock.Anything).Return(activities.RollBackOutput{Version: 3, Manifest: "older"}, nil)
	b.slow()
	b.send(90*time.Minute, workflows.UpdateRollBack, 0)
	b.train(input(2))
	require.Equal(t, 3, b.result().Version)
	b.AssertActivityNumberOfCalls(t, "Update", 2)
}

// What was asked for before an execution ended is done by the one that continues it.
func TestRequestsAreCarriedOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	b.send(90*time.Minute, workflows.UpdatePause)
	b.send(90*time.Minute, workflows.UpdateRollBack, 0)
	in := input(5)
	in.Plan.ContinueEvery = 2
	b.train(in)
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.GetWorkflowError(), &next)
	var carried workflows.TrainInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &carried))
	require.True(t, carried.Carry.Paused)
	require.Zero(t, *carried.Carry.RollBack)

	second := newBench(t)
	second.head = 2
	second.OnActivity(second.act.RollBack, mock.Anything, mock.Anything).Return(activities.RollBackOutput{Version: 3, Manifest: "older"}, nil)
	second.slow()
	paused := second.summary(30 * time.Minute)
	second.send(time.Hour, workflows.UpdateResume)
	carried.Plan.ContinueEvery = 100
	second.train(carried)
	require.Equal(t, "demo: paused, 3 of 5 cycles are done; cycle 2 earned 0.500 with 0 of 24 right", *paused)
	require.Equal(t, 5, second.result().Version)
}

func TestControlThatComesTooLateIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	pause := b.send(5*time.Hour, workflows.UpdatePause)
	back := b.send(5*time.Hour, workflows.UpdateRollBack, 0)
	change := b.send(5*time.Hour, workflows.UpdateChange, []activities.Setting{{Key: "ppo.epochs", Value: json.RawMessage("2")}})
	b.train(input(1))
	require.ErrorContains(t, pause.rejected, "all 1 cycles are done")
	require.ErrorContains(t, back.rejected, "extend it first")
	require.ErrorContains(t, change.rejected, "extend it first")
}
