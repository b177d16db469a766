package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

const runID = hone.RunID("0c9fd5a4-3f0d-4b0e-9d3c-6d2f6a2f9f10")

func plan(cycles int) workflows.Plan {
	return workflows.Plan{
		Cycles: cycles, Shards: 3, Parallel: 2, EvalEvery: 2, ContinueEvery: 100,
		Start: []workflows.Measure{
			{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy},
			{Split: hone.SplitTrain, Mode: activities.ModeGreedy, Limit: 10},
		},
		Every: []workflows.Measure{{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy}},
		Final: []workflows.Measure{{Split: hone.SplitHeldOut, Mode: activities.ModeSearch}},
	}
}

func input(cycles int) workflows.TrainInput {
	return workflows.TrainInput{Run: "demo", Config: json.RawMessage(`{"seed":1}`), Plan: plan(cycles)}
}

// bench is a test environment with every activity mocked to succeed.
type bench struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T
	// act is nil: mocks are set by method reference.
	act *activities.Activities
	// head is what Prepare finds.
	head int
	// finished are the statuses set.
	finished []activities.FinishInput
}

func newBench(t *testing.T) *bench {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	b := &bench{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, head: -1}
	b.RegisterActivity(b.act)
	b.SetTestTimeout(time.Minute)
	b.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	return b
}

// mockAll mocks what a test has not mocked before.
func (b *bench) mockAll() {
	b.OnActivity(b.act.Prepare, mock.Anything, activities.PrepareInput{Name: "demo", Config: json.RawMessage(`{"seed":1}`)}).
		Return(func(_ context.Context, _ activities.PrepareInput) (activities.PrepareOutput, error) {
			return activities.PrepareOutput{Run: runID, Version: b.head, Manifest: "head"}, nil
		})
	b.OnActivity(b.act.SupervisedStart, mock.Anything, activities.SupervisedStartInput{Run: runID}).
		Return(activities.SupervisedStartOutput{Version: 0, Manifest: "start"}, nil)
	b.OnActivity(b.act.RolloutShard, mock.Anything, mock.Anything).
		Return(activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Stopped: 7, Cut: 1}, nil)
	b.OnActivity(b.act.Score, mock.Anything, mock.Anything).Return(activities.ScoreOutput{Trajectories: 24, Reward: 0.5}, nil)
	b.OnActivity(b.act.Update, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
			b.head = in.Behaviour + 1
			return activities.UpdateOutput{Version: b.head, Manifest: "trained"}, nil
		})
	b.OnActivity(b.act.Evaluate, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.EvaluateInput) (activities.Evaluation, error) {
			return activities.Evaluation{Version: in.Version, Split: in.Split, Mode: in.Mode, Problems: 10}, nil
		})
	b.OnActivity(b.act.Publish, mock.Anything, mock.Anything).Return(activities.PublishOutput{Manifest: "published", Weights: "weights"}, nil)
	b.OnActivity(b.act.Finish, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.FinishInput) error {
		b.finished = append(b.finished, in)
		return nil
	})
}

func (b *bench) train(in workflows.TrainInput) {
	b.t.Helper()
	b.ExecuteWorkflow(workflows.TrainWorkflow, in)
	require.True(b.t, b.IsWorkflowCompleted())
}

func (b *bench) result() workflows.TrainResult {
	b.t.Helper()
	require.NoError(b.t, b.GetWorkflowError())
	var result workflows.TrainResult
	require.NoError(b.t, b.GetWorkflowResult(&result))
	return result
}

func (b *bench) progress() workflows.Progress {
	b.t.Helper()
	value, err := b.QueryWorkflow(workflows.QueryProgress)
	require.NoError(b.t, err)
	var progress workflows.Progress
	require.NoError(b.t, value.Get(&progress))
	return progress
}

// failure is the application error that the workflow ended with.
func (b *bench) failure() *temporal.ApplicationError {
	b.t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(b.t, b.GetWorkflowError(), &app)
	return app
}

func TestTrainGoesFromNothingToAPublishedResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var mu sync.Mutex
	var shards []activities.RolloutShardInput
	b.OnActivity(b.act.RolloutShard, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			mu.Lock()
			defer mu.Unlock()
			shards = append(shards, in)
			return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Stopped: 7, Cut: 1}, nil
		})
	b.mockAll()
	b.train(input(3))

	result := b.result()
	require.Equal(t, runID, result.Run)
	require.Equal(t, activities.StatusSucceeded, result.Status)
	require.Equal(t, 3, result.Version)
	require.Equal(t, "published", result.Manifest)
	require.Equal(t, "weights", result.Weights)
	require.Equal(t, activities.ModeGreedy, result.Start[0].Mode)
	require.Equal(t, activities.ModeGreedy, result.Start[1].Mode)
	require.Equal(t, []activities.Evaluation{{Version: 3, Split: hone.SplitHeldOut, Mode: activities.ModeSearch, Problems: 10}}, result.Final)
	require.Equal(t, 2, result.Last.Iteration)
	require.Equal(t, activities.RolloutShardOutput{Prompts: 6, Trajectories: 24, Tokens: 300, Stopped: 21, Cut: 3}, result.Last.Rollout)

	require.Equal(t, workflows.PhaseFinished, b.progress().Phase)
	require.Equal(t, 3, b.progress().Version)
	require.Equal(t, []activities.FinishInput{{Run: runID, Status: activities.StatusSucceeded}}, b.finished)

	b.AssertActivityNumberOfCalls(t, "Prepare", 1)
	b.AssertActivityNumberOfCalls(t, "SupervisedStart", 1)
	b.AssertActivityNumberOfCalls(t, "Score", 3)
	b.AssertActivityNumberOfCalls(t, "Update", 3)
	b.AssertActivityNumberOfCalls(t, "Evaluate", 2+1+1) // Start, before cycle 2, final.
	b.AssertActivityNumberOfCalls(t, "Publish", 1)
	require.Len(t, shards, 9)
	for i, s := range shards {
		require.Equal(t, i/3, s.Iteration)
		require.Equal(t, s.Iteration, s.Behaviour)
		require.Equal(t, 3, s.Shards)
	}
}

// Scoring says which round follows, and the workflow samples and scores it before it updates.
func TestTrainSamplesRoundsUntilScoringAsksForNoMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second, third := activities.Round{Number: 1, From: 6, To: 10}, activities.Round{Number: 2, From: 10, To: 12}
	var mu sync.Mutex
	shards := make(map[activities.Round]int)
	b.OnActivity(b.act.RolloutShard, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			mu.Lock()
			defer mu.Unlock()
			shards[in.Round]++
			if in.Round.Number == 2 {
				require.Equal(t, 2, in.Shards, "no shard is empty")
			}
			return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8}, nil
		})
	var order []int
	b.OnActivity(b.act.Score, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.ScoreInput) (activities.ScoreOutput, error) {
			order = append(order, in.Round.Number)
			next := map[int]activities.Round{0: second, 1: third}[in.Round.Number]
			return activities.ScoreOutput{Trajectories: 24 + 8*in.Round.Number, Next: next}, nil
		})
	b.mockAll()
	b.train(input(1))

	last := b.result().Last
	require.Equal(t, []int{0, 1, 2}, order)
	require.Equal(t, map[activities.Round]int{{}: 3, second: 3, third: 2}, shards)
	require.Equal(t, activities.RolloutShardOutput{Prompts: 16, Trajectories: 64}, last.Rollout)
	require.Equal(t, activities.ScoreOutput{Trajectories: 40}, last.Score)
	b.AssertActivityNumberOfCalls(t, "Update", 1)
}

func TestTrainResumesFromTheHead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.head = 2
	b.mockAll()
	b.train(input(3))
	require.Equal(t, 3, b.result().Version)
	require.Len(t, b.result().Start, 2)
	b.AssertActivityNotCalled(t, "SupervisedStart", mock.Anything, mock.Anything)
	b.AssertActivityNumberOfCalls(t, "Update", 1)
	b.AssertActivityNumberOfCalls(t, "Evaluate", 2+1+1) // What is stored is asked for again; version 2 was due.
}

func TestTrainOfAFinishedRunMeasuresAndPublishesAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.head = 5
	b.mockAll()
	b.train(input(3))
	require.Equal(t, 5, b.result().Version)
	require.Nil(t, b.result().Last)
	b.AssertActivityNotCalled(t, "RolloutShard", mock.Anything, mock.Anything)
	b.AssertActivityNumberOfCalls(t, "Publish", 1)
}

func TestTrainRejectsBadInputBeforeTouchingAnything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mockAll()
	in := input(3)
	in.Run, in.Plan.Shards, in.Plan.Every[0].Mode = "a b", 0, "luck"
	b.train(in)
	require.Equal(t, activities.ErrorInvalid, b.failure().Type())
	for _, part := range []string{`"a b"`, "shards 0", `mode "luck"`} {
		require.ErrorContains(t, b.failure(), part)
	}
	b.AssertActivityNotCalled(t, "Prepare", mock.Anything, mock.Anything)
	require.Empty(t, b.finished)
}

func TestFailedActivityFailsTheRunWithItsReason(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Update, mock.Anything, mock.Anything).Return(activities.UpdateOutput{},
		temporal.NewApplicationError("gradient of value_head.bias[0] is NaN at step 7: non-finite", activities.ErrorNonFinite))
	b.mockAll()
	b.train(input(3))
	want := "cycle 0: update: gradient of value_head.bias[0] is NaN at step 7: non-finite"
	require.Equal(t, activities.ErrorNonFinite, b.failure().Type())
	require.Equal(t, want, b.failure().Message())
	require.Equal(t, []activities.FinishInput{{Run: runID, Status: activities.StatusFailed, Reason: want}}, b.finished)
	require.Equal(t, activities.StatusFailed, b.progress().Status)
	b.AssertActivityNumberOfCalls(t, "Update", 1) // It can't help to try again.
	b.AssertActivityNotCalled(t, "Publish", mock.Anything, mock.Anything)
}

func TestErrorsThatMayPassAreTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Score, mock.Anything, mock.Anything).
		Return(activities.ScoreOutput{}, errors.New("connection refused: unavailable")).Times(5)
	b.mockAll()
	b.train(input(1))
	require.Equal(t, 1, b.result().Version)
	b.AssertActivityNumberOfCalls(t, "Score", 6)
}

func TestPatienceWithAnActivityEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Score, mock.Anything, mock.Anything).Return(activities.ScoreOutput{}, errors.New("no route to host"))
	b.mockAll()
	b.train(input(1))
	require.Equal(t, "cycle 0: score: no route to host", b.failure().Message())
	b.AssertActivityNumberOfCalls(t, "Score", 20)
	require.Equal(t, activities.StatusFailed, b.finished[0].Status)
}

func TestARejectedConfigurationLeavesTheRunAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Prepare, mock.Anything, mock.Anything).Return(activities.PrepareOutput{},
		temporal.NewApplicationError("run demo has seed 2, not 1: invalid", activities.ErrorInvalid))
	b.mockAll()
	b.train(input(1))
	require.Equal(t, "prepare run demo: run demo has seed 2, not 1: invalid", b.failure().Message())
	require.Empty(t, b.finished)
}

func TestOneFailedShardCancelsTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.RolloutShard, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			if in.Shard == 1 {
				return activities.RolloutShardOutput{}, temporal.NewApplicationError("blob 12ab: corrupt", activities.ErrorCorrupt)
			}
			return activities.RolloutShardOutput{}, nil
		})
	b.mockAll()
	b.train(input(1))
	require.Equal(t, "cycle 0: rollout shard 2 of 3: blob 12ab: corrupt", b.failure().Message())
	require.Equal(t, activities.ErrorCorrupt, b.failure().Type())
	b.AssertActivityNotCalled(t, "Score", mock.Anything, mock.Anything)
}

func TestCancellationSetsTheStatusAfterTheActivities(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OnActivity(b.act.Update, mock.Anything, mock.Anything).After(time.Hour).Return(activities.UpdateOutput{Version: 1}, nil)
	b.mockAll()
	b.RegisterDelayedCallback(b.CancelWorkflow, time.Minute)
	b.train(input(3))
	require.True(t, temporal.IsCanceledError(b.GetWorkflowError()))
	require.Equal(t, []activities.FinishInput{{Run: runID, Status: activities.StatusCancelled, Reason: "cancelled on request"}}, b.finished)
	require.Equal(t, activities.StatusCancelled, b.progress().Status)
	b.AssertActivityNotCalled(t, "Publish", mock.Anything, mock.Anything)
}

func TestLongRunsContinueAsNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mockAll()
	in := input(5)
	in.Plan.ContinueEvery = 2
	b.train(in)
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.GetWorkflowError(), &next)
	b.AssertActivityNumberOfCalls(t, "Update", 2)
	require.Empty(t, b.finished)

	var carried workflows.TrainInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &carried))
	require.Equal(t, in.Plan, carried.Plan)
	require.Equal(t, 5, carried.Carry.Cycles)
	require.Len(t, carried.Carry.Start, 2)
	require.Equal(t, 1, carried.Carry.Last.Iteration)

	second := newBench(t)
	second.head = 2
	second.mockAll()
	carried.Plan.ContinueEvery = 100
	second.train(carried)
	require.Equal(t, 5, second.result().Version)
	require.True(t, carried.Carry.Started.Equal(second.result().Started))
	second.AssertActivityNumberOfCalls(t, "Evaluate", 2+1) // Versions 2 and 4, final; the start's were carried.
}
