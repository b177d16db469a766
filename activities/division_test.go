package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// A cycle that was sampled in part goes on under another division: what is stored is neither lost nor made again.
func TestCycleGoesOnUnderAnotherDivision(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Cycles, job.Prompts, job.Searched = 1, 6, 3
	w := setup(t)
	begin := func(name string) hone.RunID {
		run := w.prepare(w.process(), name, job).Run
		_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
		require.NoError(t, err)
		return run
	}
	want := w.cycle(begin("straight"), 0, 1, 1, w.process).Manifest
	for name, shards := range map[string][2]int{
		"more shards": {2, 5}, "fewer shards": {5, 2}, "one shard": {4, 1}, "more than prompts": {3, 20},
	} {
		run := begin(name)
		_, err := w.process().RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Shard: 1, Shards: shards[0]})
		require.NoError(t, err)
		total := activities.RolloutShardOutput{}
		for shard := range shards[1] {
			out, err := w.process().RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Shard: shard, Shards: shards[1]})
			require.NoError(t, err)
			total.Prompts += out.Prompts
			total.Trajectories += out.Trajectories
		}
		require.Equal(t, job.Prompts+job.Searched, total.Prompts, name)
		require.Equal(t, job.Prompts*job.Rollout.Group+job.Searched, total.Trajectories, name)
		require.Equal(t, want, w.cycle(run, 0, 7, 1, w.process).Manifest, name)
	}
}

// A shard that two workers have at once is stored once, and both hear the same of it.
func TestShardOfTwoWorkersIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	run := w.prepare(w.process(), "twice", job).Run
	_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	var outs [4]activities.RolloutShardOutput
	var group errgroup.Group
	for i := range outs {
		a := w.process()
		group.Go(func() (err error) {
			outs[i], err = a.RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Shards: 1})
			outs[i].Seconds = 0
			return err
		})
	}
	require.NoError(t, group.Wait())
	for _, out := range outs {
		require.Equal(t, outs[0], out)
	}
	stored, err := w.store.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Len(t, stored, job.Prompts*job.Rollout.Group+job.Searched)
}
