package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// answer is what became of an update.
type answer struct {
	accepted bool
	rejected error
	err      error
	progress workflows.Progress
}

// send sends an update when the workflow has run for after, by its own clock.
func (b *bench) send(after time.Duration, name string, args ...any) *answer {
	a := &answer{}
	b.RegisterDelayedCallback(func() {
		b.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() { a.accepted = true },
			OnReject: func(err error) { a.rejected = err },
			OnComplete: func(result any, err error) {
				a.err = err
				if progress, ok := result.(workflows.Progress); ok {
					a.progress = progress
				}
			},
		}, args...)
	}, after)
	return a
}

// slow makes each update take an hour and each final evaluation ten, so that a test can say when something happens.
func (b *bench) slow() {
	b.OnActivity(b.act.Update, mock.Anything, mock.Anything).After(time.Hour).
		Return(func(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
			return activities.UpdateOutput{Version: in.Behaviour + 1, Manifest: "trained"}, nil
		})
	final := mock.MatchedBy(func(in activities.EvaluateInput) bool { return in.Mode == activities.ModeSearch })
	b.OnActivity(b.act.Evaluate, mock.Anything, final).
		After(10*time.Hour).Return(activities.Evaluation{Mode: activities.ModeSearch}, nil)
	b.mockAll()
}

func TestStopEndsTheRunAfterTheCycle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	stop := b.send(90*time.Minute, workflows.UpdateStop) // In the second cycle.
	b.train(input(5))
	require.True(t, stop.accepted)
	require.NoError(t, stop.err)
	require.True(t, stop.progress.Stopping)
	require.Equal(t, 1, stop.progress.Version)
	require.Equal(t, workflows.PhaseUpdate, stop.progress.Phase)

	result := b.result()
	require.Equal(t, activities.StatusPaused, result.Status)
	require.Equal(t, 2, result.Version)
	require.Equal(t, "trained", result.Manifest)
	require.Empty(t, result.Final)
	require.Equal(t, []activities.FinishInput{
		{Run: runID, Status: activities.StatusPaused, Reason: "stopped on request after 2 of 5 cycles"},
	}, b.finished)
	b.AssertActivityNotCalled(t, "Publish", mock.Anything, mock.Anything)
}

// A guard that found a reason pauses the run after the cycle, with the reason; started again, the run goes on.
func TestAlarmPausesTheRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Update, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
			b.head = in.Behaviour + 1
			out := activities.UpdateOutput{Version: b.head, Manifest: "trained"}
			if b.head == 2 {
				out.Alarm = "entropy 0.05 is below guard.entropy_floor 0.1"
			}
			return out, nil
		})
	b.mockAll()
	b.train(input(5))
	const reason = "stopped to be looked at (entropy 0.05 is below guard.entropy_floor 0.1) after 2 of 5 cycles"
	result := b.result()
	require.Equal(t, activities.StatusPaused, result.Status)
	require.Equal(t, reason, result.Reason)
	require.Equal(t, 2, result.Version)
	require.Equal(t, []activities.FinishInput{{Run: runID, Status: activities.StatusPaused, Reason: reason}}, b.finished)
	b.AssertActivityNotCalled(t, "Publish", mock.Anything, mock.Anything)

	again := newBench(t)
	again.head = 2
	again.mockAll()
	again.train(input(5))
	require.Equal(t, activities.StatusSucceeded, again.result().Status)
	require.Equal(t, 5, again.result().Version)
}

func TestStopInTheLastCycleChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slow()
	stop := b.send(30*time.Minute, workflows.UpdateStop)
	b.train(input(1))
	require.True(t, stop.accepted)
	require.Equal(t, activities.StatusSucceeded, b.result().Status)
}

func TestExtendAddsCycles(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{
		"during a cycle":                     30 * time.Minute,
		"while the result is being measured": 5 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.slow()
			extend := b.send(after, workflows.UpdateExtend, 3)
			b.train(input(1))
			require.True(t, extend.accepted)
			require.Equal(t, 3, extend.progress.Cycles)
			require.Equal(t, 3, b.result().Version)
			b.AssertActivityNumberOfCalls(t, "Update", 3)
			b.AssertActivityNumberOfCalls(t, "Publish", 1)
		})
	}
}

func TestUpdatesThatComeTooLateAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Publish, mock.Anything, mock.Anything).After(time.Hour).Return(activities.PublishOutput{}, nil)
	b.slow()
	stopMeasuring := b.send(5*time.Hour, workflows.UpdateStop)
	less := b.send(5*time.Hour, workflows.UpdateExtend, 0)
	stop := b.send(11*time.Hour+30*time.Minute, workflows.UpdateStop)
	extend := b.send(11*time.Hour+30*time.Minute, workflows.UpdateExtend, 9)
	b.train(input(1))
	require.ErrorContains(t, stopMeasuring.rejected, "all 1 cycles are done")
	require.ErrorContains(t, less.rejected, "extend run demo to 0 cycles: it has 1 already")
	require.ErrorContains(t, stop.rejected, "its cycles are over")
	require.ErrorContains(t, extend.rejected, "its cycles are over")
	require.Equal(t, 1, b.result().Version)
}
