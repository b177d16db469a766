package storage_test

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// cycle is a commit of iteration i, which has one prompt.
func cycle(run hone.RunID, fence int64, i int) storage.Commit {
	return storage.Commit{
		Run: run, Iteration: i, From: i, Fence: fence, Version: versionOf(i + 1),
		Prompts: []storage.PromptEnd{{Slot: 0, Problem: hone.Problem{Task: "game24", Key: "4 5 6 10"}, State: storage.PromptTrained}},
		Targets: []storage.Target{{Sample: 0, Reward: 1, Advantages: []float32{1, -1}, Returns: []float32{0.5, 0.25}}},
		Metrics: map[string]float64{"reward": 1},
	}
}

func startIteration(t testing.TB, s *storage.Store, run hone.RunID, i int) {
	t.Helper()
	require.NoError(t, s.StartIteration(t.Context(), storage.Iteration{Run: run, Iteration: i, Behaviour: i, Prompts: 1}))
}

func TestCommitMovesEverythingTogetherAndOnce(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	startIteration(t, s, run, 0)
	c := cycle(run, fence, 0)
	for range 3 { // the answer to the first may have been lost
		version, err := s.CommitCycle(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, 1, version)
		c.Metrics = map[string]float64{"reward": 2}
	}
	head, err := s.Head(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, storage.Head{Number: 1, Fence: fence, Version: c.Version}, head)
	require.Equal(t, c.Version.Manifest(), head.Manifest())
	first, err := s.Version(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, versionOf(0), first, "state is kept byte for byte")
	targets, err := s.LoadTargets(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, c.Targets, targets)
	prompts, err := s.PromptCounts(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, map[storage.PromptState]int{storage.PromptTrained: 1}, prompts)
	metrics, err := s.Metrics(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, 1.0, metrics[0]["reward"], "of the commit that counted")

	startIteration(t, s, run, 1)
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 1))
	require.NoError(t, err)
	version, err := s.CommitCycle(t.Context(), cycle(run, 0, 0))
	require.NoError(t, err, "a late repeat, whatever its fence")
	require.Equal(t, 1, version)
}

func TestStaleFenceAndLostRaceAreRefused(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, stale := createRun(t, s)
	startIteration(t, s, run, 0)
	fence, err := s.AcquireLease(t.Context(), run, "trainer", time.Nanosecond)
	require.NoError(t, err)
	require.Equal(t, stale+1, fence)
	_, err = s.CommitCycle(t.Context(), cycle(run, stale, 0))
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "fence 1 is stale")
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 0))
	require.NoError(t, err, "an expired lease holds until someone else acquires")

	lost := cycle(run, fence, 0)
	lost.Version.Weights = digestOf(77)
	_, err = s.CommitCycle(t.Context(), lost)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "published by another trainer")
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 2))
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "head is version 1, want 2")
	require.ErrorIs(t, s.PublishFirst(t.Context(), run, fence, storage.First{Version: versionOf(5)}), hone.ErrConflict)
	require.NoError(t, s.PublishFirst(t.Context(), run, fence, storage.First{Version: versionOf(0)}))

	_, err = s.AcquireLease(t.Context(), run, "other", hour)
	require.NoError(t, err)
	_, err = s.AcquireLease(t.Context(), run, "trainer", hour)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "other holds it for another")
	require.NotContains(t, err.Error(), "not found")
}

func TestOfManyContendersOneCommits(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	startIteration(t, s, run, 0)
	var won atomic.Int32
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			c := cycle(run, fence, 0)
			c.Version.Weights = digestOf(10 + i)
			_, err := s.CommitCycle(t.Context(), c)
			if err == nil {
				won.Add(1)
			} else if errors.Is(err, hone.ErrConflict) {
				err = nil
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, won.Load())
}

func TestRefusedCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	require.NoError(t, s.StartIteration(t.Context(), storage.Iteration{Run: run, Prompts: 2}))
	tests := map[string]struct {
		change func(c *storage.Commit)
		want   error
		say    string
	}{
		"a prompt without an end": {
			func(c *storage.Commit) { c.Prompts = c.Prompts[:1] },
			hone.ErrInvalid, "prompt 1 of 2 has no end",
		},
		"a prompt that ends twice": {
			func(c *storage.Commit) { c.Prompts[1].Slot = 0 },
			hone.ErrInvalid, "ended twice",
		},
		"a prompt too many": {
			func(c *storage.Commit) { c.Prompts[1].Slot = 2 },
			hone.ErrInvalid, "prompt 2 of 2",
		},
		"a dropped prompt without a reason": {
			func(c *storage.Commit) { c.Prompts[1].State = storage.PromptDropped },
			hone.ErrInvalid, "without a reason",
		},
		"an unknown state": {
			func(c *storage.Commit) { c.Prompts[1].State, c.Prompts[1].Reason = "lost", "?" },
			hone.ErrInvalid, "",
		},
		"a NaN": {
			func(c *storage.Commit) { c.Targets[0].Advantages[1] = float32(math.NaN()) },
			hone.ErrNonFinite, "sample 0: token 1",
		},
		"columns of two lengths": {
			func(c *storage.Commit) { c.Targets[0].Returns = nil },
			hone.ErrInvalid, "2 advantages and 0 returns",
		},
		"a sample twice": {
			func(c *storage.Commit) { c.Targets = append(c.Targets, c.Targets[0]) },
			hone.ErrConflict, "",
		},
		"no digest": {
			func(c *storage.Commit) { c.Version.Weights = "" },
			hone.ErrInvalid, "digest",
		},
		"no state": {
			func(c *storage.Commit) { c.Version.State = nil },
			hone.ErrInvalid, "state",
		},
		"an iteration that wasn't started": {
			func(c *storage.Commit) { c.Iteration = 7 },
			hone.ErrNotFound, "not started",
		},
		"an unknown run": {
			func(c *storage.Commit) { c.Run = storage.RunIDOf("nobody") },
			hone.ErrNotFound, "",
		},
	}
	for name, test := range tests {
		c := cycle(run, fence, 0)
		c.Prompts = append(c.Prompts, c.Prompts[0])
		c.Prompts[1].Slot = 1
		test.change(&c)
		_, err := s.CommitCycle(t.Context(), c)
		require.ErrorIs(t, err, test.want, name)
		require.ErrorContains(t, err, test.say, name)
		head, err := s.Head(t.Context(), run)
		require.NoError(t, err)
		require.Zero(t, head.Number, name)
	}
	targets, err := s.LoadTargets(t.Context(), run, 0)
	require.NoError(t, err)
	require.Empty(t, targets)
	prompts, err := s.PromptCounts(t.Context(), run, 0)
	require.NoError(t, err)
	require.Empty(t, prompts)
	err = s.StartIteration(t.Context(), storage.Iteration{Run: run, Prompts: 3})
	require.ErrorIs(t, err, hone.ErrConflict)
	require.NoError(t, s.StartIteration(t.Context(), storage.Iteration{Run: run, Prompts: 2}), "again")
}

func TestIterationGrowsUntilItIsCommitted(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	it := storage.Iteration{Run: run, Prompts: 3}
	require.ErrorIs(t, s.ExtendIteration(t.Context(), it), hone.ErrInvalid, "it was not started")
	startIteration(t, s, run, 0)
	for _, prompts := range []int{3, 3, 2} { // the last is late
		it.Prompts = prompts
		require.NoError(t, s.ExtendIteration(t.Context(), it))
	}
	it.Behaviour = 1
	require.ErrorIs(t, s.ExtendIteration(t.Context(), it), hone.ErrInvalid, "another version started it")
	it.Behaviour = 0
	c := cycle(run, fence, 0)
	_, err := s.CommitCycle(t.Context(), c)
	require.ErrorContains(t, err, "prompt 1 of 3 has no end")
	for slot := 1; slot < 3; slot++ {
		end := c.Prompts[0]
		end.Slot = slot
		c.Prompts = append(c.Prompts, end)
	}
	_, err = s.CommitCycle(t.Context(), c)
	require.NoError(t, err)
	require.ErrorIs(t, s.ExtendIteration(t.Context(), it), hone.ErrInvalid, "it is done")
}

func TestFirstCommitAnalyzesThePartitions(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	run, fence := createRun(t, s)
	startIteration(t, s, run, 0)
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 0, 0, trajectories(run, 0, 20, 5))))
	_, err := s.CommitCycle(t.Context(), cycle(run, fence, 0))
	require.NoError(t, err)
	require.Equal(t, 20, count(t, connect(t, address), "SELECT reltuples::int FROM pg_class WHERE relname ~ '^trajectories_[0-9a-f]{32}$'"))
}
