package storage_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestCreateRunIsIdempotentAndConcurrent(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			_, err := s.CreateRun(t.Context(), newRun("run"))
			return err
		})
	}
	require.NoError(t, group.Wait())
	got, err := s.CreateRun(t.Context(), newRun("run"))
	require.NoError(t, err)
	require.Equal(t, storage.RunIDOf("run"), got.ID)
	require.Equal(t, uint64(1<<63+7), got.Seed)
	require.Equal(t, storage.StatusPending, got.Status)
	partitions := "SELECT count(*) FROM pg_inherits WHERE inhparent::regclass::text IN " +
		"('trajectories', 'steps', 'scores', 'rewards', 'targets', 'search_nodes', 'replays')"
	conn := connect(t, address)
	require.Equal(t, 7, count(t, conn, partitions))

	again := newRun("run")
	again.Commit, again.Fingerprint = "another program", "other kernels"
	again.Config = json.RawMessage(`{"ppo":{"lr":1e-3,"epochs":4}}`)
	_, err = s.CreateRun(t.Context(), again)
	require.NoError(t, err, "a run may be taken up by another program")

	again.Config = json.RawMessage(`{"ppo":{"lr":0.002,"epochs":4}}`)
	again.Seed = 8
	_, err = s.CreateRun(t.Context(), again)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "ppo.lr: stored 0.001, given 0.002")
	require.ErrorContains(t, err, "seed: stored 9223372036854775815, given 8")
	require.NotContains(t, err.Error(), "epochs")
}

func TestRunOpenedTwiceAtOnceHasItsPartitionsOnce(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	var group errgroup.Group
	for range 8 {
		conn := connect(t, address)
		group.Go(func() error {
			_, err := conn.Exec(t.Context(), "SELECT open_run($1)", string(storage.RunIDOf("x")))
			return err
		})
	}
	require.NoError(t, group.Wait())
}

func TestRunsShowProgress(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	_, err := s.CreateRun(t.Context(), newRun("another"))
	require.NoError(t, err)
	require.NoError(t, s.SaveMetrics(t.Context(), run, -1, map[string]float64{"sft/loss": 0.5}))

	all, err := s.Runs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"another", "run"}, []string{all[0].Name, all[1].Name})
	require.Equal(t, []int{-1, -1}, []int{all[0].Version, all[0].Iteration})
	require.Equal(t, []int{0, -1}, []int{all[1].Version, all[1].Iteration})
	require.Equal(t, map[string]float64{"sft/loss": 0.5}, all[1].Metrics)

	require.NoError(t, s.StartIteration(t.Context(), storage.Iteration{Run: run, Prompts: 1}))
	c := cycle(run, fence, 0)
	c.Metrics = map[string]float64{"reward": 0.25, "kl": math.NaN(), "grad": math.Inf(1)}
	_, err = s.CommitCycle(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusFailed, "out of tea"))
	all, err = s.Runs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{all[1].Version, all[1].Iteration})
	require.Equal(t, 0.25, all[1].Metrics["reward"])
	require.True(t, math.IsNaN(all[1].Metrics["kl"]))
	require.True(t, math.IsInf(all[1].Metrics["grad"], 1))
	require.Equal(t, storage.StatusFailed, all[1].Status)
	require.Equal(t, "out of tea", all[1].Error)
	require.False(t, all[1].Finished.IsZero())

	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusRunning, ""))
	got, err := s.Run(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, storage.StatusRunning, got.Status)
	require.True(t, got.Finished.IsZero())
	metrics, err := s.Metrics(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, metrics, 2)
	for iteration, want := range metrics {
		one, err := s.IterationMetrics(t.Context(), run, iteration)
		require.NoError(t, err)
		require.Len(t, one, len(want))
		for name := range want {
			require.Equal(t, math.Float64bits(want[name]), math.Float64bits(one[name]), name)
		}
	}
	none, err := s.IterationMetrics(t.Context(), run, 99)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestUnknownRunsAndMalformedOnes(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	nobody := storage.RunIDOf("nobody")
	_, err := s.RunNamed(t.Context(), "nobody")
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = s.Run(t.Context(), nobody)
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = s.Head(t.Context(), nobody)
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = s.AcquireLease(t.Context(), nobody, "trainer", hour)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorIs(t, s.SetStatus(t.Context(), nobody, storage.StatusRunning, ""), hone.ErrNotFound)
	require.ErrorIs(t, s.SaveMetrics(t.Context(), nobody, 0, map[string]float64{"x": 1}), hone.ErrNotFound)
	require.ErrorIs(t, s.SaveShard(t.Context(), shardOf(nobody, 0, 0, trajectories(nobody, 0, 1, 1))), hone.ErrNotFound)
	_, err = s.Run(t.Context(), "not-a-uuid")
	require.ErrorIs(t, err, hone.ErrInvalid)

	for _, bad := range []storage.NewRun{
		{Config: json.RawMessage(`{}`)},
		{Name: "n", Config: json.RawMessage(`[]`)},
		{Name: "n", Config: json.RawMessage(`{`)},
		{Name: "n\x00", Config: json.RawMessage(`{}`)},
	} {
		_, err := s.CreateRun(t.Context(), bad)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
}
