package storage_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func tree(sample, nodes int) storage.Tree {
	t := storage.Tree{Sample: sample}
	for i := range nodes {
		t.Nodes = append(t.Nodes, storage.Node{
			Node: i, Parent: i - 1, Depth: i, Order: i - 1, Visits: nodes - i, ValueSum: 0.1 * float64(i), Q: 0.2, Raw: -0.3,
			Prior: 1 / float64(i+1), Reward: 0.5, Terminal: i == nodes-1, Masked: i%2 == 1, Action: "10 - 4 = 6 (left: 5 6 6)\n",
		})
	}
	return t
}

func TestShardComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	want := trajectories(run, 3, 12, 25)
	want[1].Source, want[1].Finish = hone.SourceSearch, hone.FinishLength
	want[2].Tokens, want[2].Logp, want[2].Values, want[2].Steps = []hone.TokenID{}, []float32{}, []float32{}, nil
	want[2].Finish, want[2].Text = hone.FinishError, ""
	want[3].Seed, want[3].Logp[0] = math.MaxUint64, float32(math.Inf(-1))
	second := shardOf(run, 3, 1, want[6:])
	second.Trees = []storage.Tree{tree(7, 4), tree(9, 1)}
	require.NoError(t, s.SaveShard(t.Context(), second), "shards come in any order")
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 3, 0, want[:6])))

	got, err := s.LoadIteration(t.Context(), run, 3)
	require.NoError(t, err)
	require.Equal(t, want, got)
	part, err := s.LoadSamples(t.Context(), storage.Samples{Run: run, Iteration: 3, From: 4, To: 9})
	require.NoError(t, err)
	require.Equal(t, want[4:9], part)
	one, err := s.Trajectory(t.Context(), want[7].ID)
	require.NoError(t, err)
	require.Equal(t, want[7], one)
	trees, err := s.Trees(t.Context(), want[7].ID.Run, want[7].ID.Iteration)
	require.NoError(t, err)
	require.Equal(t, []int{want[7].ID.Sample, want[9].ID.Sample}, trees)
	gotTree, err := s.LoadTree(t.Context(), want[7].ID)
	require.NoError(t, err)
	require.Equal(t, second.Trees[0], gotTree)

	_, err = s.LoadTree(t.Context(), want[0].ID)
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = s.Trajectory(t.Context(), hone.TrajectoryID{Run: run, Iteration: 3, Sample: 99})
	require.ErrorIs(t, err, hone.ErrNotFound)
	none, err := s.LoadIteration(t.Context(), run, 4)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestManyWritersOfTheSameShardsStoreThemOnce(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	run, _ := createRun(t, storagetest.OpenURL(t, address))
	const shards, size, writers = 8, 16, 8
	all := trajectories(run, 0, shards*size, 10)
	var group errgroup.Group
	for range writers {
		s := storagetest.OpenURL(t, address)
		group.Go(func() error {
			for shard := range shards {
				if err := s.SaveShard(t.Context(), shardOf(run, 0, shard, all[shard*size:(shard+1)*size])); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	s := storagetest.OpenURL(t, address)
	got, err := s.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, all, got)
	has, err := s.HasShard(t.Context(), storage.ShardKey{Run: run, Shard: 7})
	require.NoError(t, err)
	require.True(t, has)
	for _, key := range []storage.ShardKey{{Run: run, Shard: 8}, {Run: run, Shard: 7, Round: 1}} {
		has, err = s.HasShard(t.Context(), key)
		require.NoError(t, err)
		require.False(t, has, key.String())
	}
}

func TestShardWithOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	want := trajectories(run, 0, 2, 10)
	first := shardOf(run, 0, 0, want)
	first.Trees = []storage.Tree{tree(1, 3)}
	require.NoError(t, s.SaveShard(t.Context(), first))
	for name, change := range map[string]func(sh *storage.Shard){
		"a log-probability": func(sh *storage.Shard) { sh.Trajectories[1].Logp[9] = -9 },
		"a step":            func(sh *storage.Shard) { sh.Trajectories[0].Steps[0].Text = "back" },
		"the fingerprint":   func(sh *storage.Shard) { sh.Trajectories[0].Fingerprint = "openblas" },
		"the bootstrap":     func(sh *storage.Shard) { sh.Trajectories[0].Bootstrap++ },
		"a node":            func(sh *storage.Shard) { sh.Trees[0].Nodes[2].Masked = true },
		"fewer":             func(sh *storage.Shard) { sh.Trajectories = sh.Trajectories[:1] },
		"no trees":          func(sh *storage.Shard) { sh.Trees = nil },
	} {
		other := shardOf(run, 0, 0, trajectories(run, 0, 2, 10))
		other.Trees = []storage.Tree{tree(1, 3)}
		change(&other)
		err := s.SaveShard(t.Context(), other)
		require.ErrorIs(t, err, hone.ErrConflict, name)
		require.ErrorContains(t, err, "other content", name)
	}
	require.ErrorIs(t, s.SaveShard(t.Context(), shardOf(run, 0, 1, want[:1])), hone.ErrConflict, "the same samples in another shard")
	got, err := s.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	for name, test := range map[string]struct {
		change func(tr *hone.Trajectory)
		say    string
	}{
		"a NUL byte":        {func(tr *hone.Trajectory) { tr.Text = "ab\x00" }, "completion has a NUL byte at offset 2"},
		"not UTF-8":         {func(tr *hone.Trajectory) { tr.Steps[0].Text = "\xff" }, "step 0 is not valid UTF-8"},
		"another run":       {func(tr *hone.Trajectory) { tr.ID.Run = storage.RunIDOf("other") }, "another run"},
		"another iteration": {func(tr *hone.Trajectory) { tr.ID.Iteration = 5 }, "another run or iteration"},
		"too few values":    {func(tr *hone.Trajectory) { tr.Values = tr.Values[1:] }, "10 tokens, 10 logp, 9 values"},
		"a step too long":   {func(tr *hone.Trajectory) { tr.Steps[0].To = 11 }, "step 0 spans tokens [0, 11) of 10"},
		"a negative sample": {func(tr *hone.Trajectory) { tr.ID.Sample = -1 }, "sample -1"},
		"an unknown finish": {func(tr *hone.Trajectory) { tr.Finish = "tired" }, ""},
		"an unknown source": {func(tr *hone.Trajectory) { tr.Source = "thin air" }, ""},
	} {
		bad := trajectories(run, 0, 1, 10)
		test.change(&bad[0])
		err := s.SaveShard(t.Context(), shardOf(run, 0, 0, bad))
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, test.say, name)
	}
	got, err := s.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Empty(t, got)
	has, err := s.HasShard(t.Context(), storage.ShardKey{Run: run})
	require.NoError(t, err)
	require.False(t, has)
}
