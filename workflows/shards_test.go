package workflows_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// straggling is a bench of one cycle in four shards at once, of which three take ten minutes and the last what slow says, the first time.
type straggling struct {
	*bench

	mu    sync.Mutex
	asked map[int]int
}

func newStraggling(t *testing.T, slow time.Duration, again activities.RolloutShardOutput, fault error) *straggling {
	t.Helper()
	s := &straggling{bench: newBench(t), asked: make(map[int]int)}
	note := func(in activities.RolloutShardInput) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[in.Shard]++
	}
	last := mock.MatchedBy(func(in activities.RolloutShardInput) bool { return in.Shard == 3 })
	s.OnActivity(s.act.RolloutShard, mock.Anything, last).After(slow).Once().
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			note(in)
			return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Seconds: slow.Seconds()}, fault
		})
	s.OnActivity(s.act.RolloutShard, mock.Anything, mock.Anything).After(10 * time.Minute).
		Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
			note(in)
			if in.Shard == 3 {
				return again, nil
			}
			return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Seconds: 600}, nil
		})
	s.mockAll()
	return s
}

func (s *straggling) run(reissue float64) workflows.TrainResult {
	in := input(1)
	in.Plan.Shards, in.Plan.Parallel, in.Plan.Reissue = 4, 4, reissue
	s.train(in)
	return s.result()
}

func TestSlowShardIsGivenToASecondWorker(t *testing.T) {
	t.Parallel()
	s := newStraggling(t, 100*time.Hour, activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Seconds: 600}, nil)
	result := s.run(3)
	require.Equal(t, 1, result.Last.Reissued)
	require.Equal(t, 32, result.Last.Rollout.Trajectories, "one copy counts")
	require.InDelta(t, (40 * time.Minute).Seconds(), result.Seconds, 60, "three times the median, and once more")
	require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1}, s.asked, "the slow one was not waited for")
}

func TestShardThatIsNotMuchSlowerIsLeftAlone(t *testing.T) {
	t.Parallel()
	for reissue, slow := range map[float64]time.Duration{3: 29 * time.Minute, 0: 3 * time.Hour} {
		s := newStraggling(t, slow, activities.RolloutShardOutput{}, nil)
		result := s.run(reissue)
		require.Zero(t, result.Last.Reissued)
		require.InDelta(t, slow.Seconds(), result.Seconds, 60)
	}
}

func TestShardWhoseFirstWorkerFailsIsTheSecondOnes(t *testing.T) {
	t.Parallel()
	fault := temporal.NewNonRetryableApplicationError("the disk of one machine is damaged", activities.ErrorCorrupt, nil)
	s := newStraggling(t, 35*time.Minute, activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Seconds: 600}, fault)
	result := s.run(3)
	require.Equal(t, 1, result.Last.Reissued)
	require.Equal(t, 32, result.Last.Rollout.Trajectories)
}

func TestShardsAreSizedByWhatTheCycleBeforeTook(t *testing.T) {
	t.Parallel()
	for target, want := range map[float64][3]int{0: {4, 4, 4}, 100: {4, 24, 96}, 1e6: {4, 6, 6}} { // of 4 * 600 and 24 * 600 seconds
		b := newBench(t)
		var mu sync.Mutex
		var shards [3]int
		b.OnActivity(b.act.RolloutShard, mock.Anything, mock.Anything).
			Return(func(_ context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
				mu.Lock()
				defer mu.Unlock()
				shards[in.Iteration] = in.Shards
				return activities.RolloutShardOutput{Prompts: 1, Seconds: 600}, nil
			})
		b.mockAll()
		in := input(3)
		in.Plan.Shards, in.Plan.Parallel, in.Plan.ShardSeconds = 4, 6, target
		b.train(in)
		b.result()
		require.Equal(t, want, shards, "%v", target)
	}
}
