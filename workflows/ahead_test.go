package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// errEarly is a shard that was asked for before the version that is to sample it.
var errEarly = errors.New("sampled by a version that is not there yet")

// overlapped is a bench of a run whose samples may be behind by so many versions, with what was called in order. Each update takes an hour.
type overlapped struct {
	*bench

	mu sync.Mutex
	// sampled are the versions that sampled, by cycle, and updated the cycles that were learned from. ahead is how many cycles were sampled
	// when each of those had been learned from.
	sampled        map[int]int
	updated, ahead []int
}

func newOverlapped(t *testing.T, staleness int) *overlapped {
	t.Helper()
	o := &overlapped{bench: newBench(t), sampled: make(map[int]int)}
	o.OnActivity(o.act.Prepare, mock.Anything, mock.Anything).
		Return(func(context.Context, activities.PrepareInput) (activities.PrepareOutput, error) {
			return activities.PrepareOutput{Run: runID, Version: o.head, Staleness: staleness}, nil
		})
	o.OnActivity(o.act.RolloutShard, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.sampled[in.Iteration] = in.Behaviour
			if in.Behaviour > max(o.head, 0) {
				return activities.RolloutShardOutput{}, errEarly
			}
			return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100}, nil
		})
	o.OnActivity(o.act.Update, mock.Anything, mock.Anything).After(time.Hour).
		Return(func(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.updated, o.ahead = append(o.updated, in.Iteration), append(o.ahead, len(o.sampled))
			o.head = in.Iteration + 1
			return activities.UpdateOutput{Version: o.head, Manifest: "trained"}, nil
		})
	return o
}

func TestNextCyclesAreSampledWhileOneIsLearnedFrom(t *testing.T) {
	t.Parallel()
	for staleness, ahead := range [][]int{1: {2, 3, 4, 5, 6, 6}, 2: {3, 4, 5, 6, 6, 6}, 5: {6, 6, 6, 6, 6, 6}, 16: {6, 6, 6, 6, 6, 6}} {
		if ahead == nil {
			continue
		}
		o := newOverlapped(t, staleness)
		o.mockAll()
		o.train(input(6))
		require.Equal(t, activities.StatusSucceeded, o.result().Status)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5}, o.updated)
		require.Equal(t, ahead, o.ahead, "nothing is sampled beyond the last cycle")
		for cycle := range 6 {
			require.Equal(t, max(0, cycle-staleness), o.sampled[cycle], "cycle %d", cycle)
		}
	}
}

func TestStoppedRunLeavesNothingUnderWay(t *testing.T) {
	t.Parallel()
	o := newOverlapped(t, 2)
	stop := o.send(90*time.Minute, workflows.UpdateStop) // In the second cycle.
	o.mockAll()
	o.train(input(9))
	require.Equal(t, workflows.PhaseUpdate, stop.progress.Phase, "what the run waits for is what it shows")
	result := o.result()
	require.Equal(t, activities.StatusPaused, result.Status)
	require.Equal(t, 2, result.Version)
	require.Equal(t, []int{0, 1}, o.updated)
	require.Len(t, o.sampled, 4, "what was begun is stored, and waits for the next start")
}

func TestExecutionsHandOverWithNothingUnderWay(t *testing.T) {
	t.Parallel()
	o := newOverlapped(t, 2)
	o.mockAll()
	in := input(9)
	in.Plan.ContinueEvery = 3
	o.train(in)
	require.True(t, workflow.IsContinueAsNewError(o.GetWorkflowError()))
	require.Equal(t, []int{0, 1, 2}, o.updated)
	require.Len(t, o.sampled, 3, "the next execution samples its own")
}

func TestGoingBackGivesUpWhatWasBegun(t *testing.T) {
	t.Parallel()
	o := newOverlapped(t, 1)
	o.send(150*time.Minute, workflows.UpdateRollBack, 1) // In the third cycle, when the fourth is sampled.
	o.OnActivity(o.act.RollBack, mock.Anything, activities.RollBackInput{Run: runID, From: 3, To: 1}).
		Return(func(context.Context, activities.RollBackInput) (activities.RollBackOutput, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.head = 5
			return activities.RollBackOutput{Version: 5, Manifest: "back"}, nil
		}).Once()
	o.mockAll()
	o.train(input(6))
	require.Equal(t, activities.StatusSucceeded, o.result().Status)
	require.Equal(t, []int{0, 1, 2, 5}, o.updated, "the way back takes the place of a cycle, and of the one that was sampled ahead")
	require.Equal(t, 4, o.sampled[5])
}

func TestSamplingThatFailsAheadFailsInItsTurn(t *testing.T) {
	t.Parallel()
	o := newOverlapped(t, 2)
	bad := mock.MatchedBy(func(in activities.ScoreInput) bool { return in.Iteration == 2 })
	o.OnActivity(o.act.Score, mock.Anything, bad).
		Return(activities.ScoreOutput{}, temporal.NewNonRetryableApplicationError("a blob is damaged", activities.ErrorCorrupt, nil))
	o.mockAll()
	o.train(input(6))
	require.Equal(t, activities.ErrorCorrupt, o.failure().Type())
	require.ErrorContains(t, o.failure(), "cycle 2: score: a blob is damaged")
	require.Equal(t, []int{0, 1}, o.updated, "what was whole is learned from")
}
