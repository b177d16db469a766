package storage_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

func scored(n int, weight float64) []storage.Scored {
	all := make([]storage.Scored, n)
	for i := range all {
		all[i] = storage.Scored{Sample: i, Breakdown: hone.Breakdown{
			Outcome: hone.OutcomeRight, Steps: 3,
			Layers: []hone.LayerScore{
				{Layer: "step", Weight: weight, Terms: []hone.Term{
					{Step: 0, Score: 1.0 / 3, Reason: `"true" → kept`}, {Step: 2, Score: -1e-9, Reason: "untrue"},
				}},
				{Layer: "correctness", Weight: 1, Terms: []hone.Term{{Step: 2, Score: 1, Reason: "right"}}},
				{Layer: "efficiency", Weight: 0.1, Terms: []hone.Term{}},
			},
		}}
	}
	return all
}

func live(run hone.RunID) storage.ScoringKey {
	return storage.ScoringKey{ShardKey: storage.ShardKey{Run: run}}
}

func TestScoringComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	want := scored(5, 0.5)
	for range 2 {
		require.NoError(t, s.SaveScoring(t.Context(), live(run), want))
	}
	got, err := s.LoadScoring(t.Context(), run, 0, storage.LiveScoring)
	require.NoError(t, err)
	require.Equal(t, want, got)
	has, err := s.HasScoring(t.Context(), live(run))
	require.NoError(t, err)
	require.True(t, has)

	err = s.SaveScoring(t.Context(), live(run), scored(5, 0.25))
	require.ErrorIs(t, err, hone.ErrConflict)
	bad := scored(1, math.NaN())
	require.ErrorIs(t, s.SaveScoring(t.Context(), live(run), bad), hone.ErrNonFinite)
	bad = scored(1, 1)
	bad[0].Breakdown.Layers[0].Terms[0].Step = 3
	require.ErrorIs(t, s.SaveScoring(t.Context(), live(run), bad), hone.ErrInvalid)
	bad = scored(1, 1)
	bad[0].Breakdown.Layers[0].Terms[0].Reason = "\x00"
	require.ErrorIs(t, s.SaveScoring(t.Context(), live(run), bad), hone.ErrInvalid)
}

func TestReplayLeavesTheLiveScoringAlone(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	run, fence := createRun(t, s)
	startIteration(t, s, run, 0)
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 0, 0, trajectories(run, 0, 1, 2))))
	require.NoError(t, s.SaveScoring(t.Context(), live(run), scored(1, 0.5)))
	_, err := s.CommitCycle(t.Context(), cycle(run, fence, 0))
	require.NoError(t, err)

	conn := connect(t, address)
	fingerprint := func() (all []string) { // xmin changes with any write to a row
		for _, table := range []string{"trajectories", "steps", "scores", "rewards", "targets"} {
			var sum string
			where := " WHERE to_jsonb(t)->>'scoring_id' IS NULL OR to_jsonb(t)->>'scoring_id' = '0'"
			require.NoError(t, conn.QueryRow(t.Context(),
				"SELECT md5(string_agg(t::text || xmin::text, '' ORDER BY t::text)) FROM "+table+" t"+where).Scan(&sum))
			all = append(all, sum)
		}
		return all
	}
	before := fingerprint()

	key := live(run)
	key.Scoring = 1
	require.ErrorIs(t, s.SaveScoring(t.Context(), key, scored(1, 0.75)), hone.ErrNotFound, "it wasn't added")
	for range 2 {
		key.Scoring, err = s.AddScoring(t.Context(), run, []byte(`{"step": 0.75}`))
		require.NoError(t, err)
		require.Equal(t, 1, key.Scoring)
	}
	second, err := s.AddScoring(t.Context(), run, []byte(`{"step": 0.8}`))
	require.NoError(t, err)
	require.Equal(t, 2, second)
	require.NoError(t, s.SaveScoring(t.Context(), key, scored(1, 0.75)))
	require.Equal(t, before, fingerprint())
	got, err := s.LoadScoring(t.Context(), run, 0, 1)
	require.NoError(t, err)
	require.Equal(t, scored(1, 0.75), got)
	_, err = s.AddScoring(t.Context(), run, []byte(`{`))
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = s.AddScoring(t.Context(), storage.RunIDOf("nobody"), []byte(`{}`))
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestAReplayOfManySamplesComesBackInParts(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	key := live(run)
	var err error
	key.Scoring, err = s.AddScoring(t.Context(), run, []byte(`{"step": 0.75}`))
	require.NoError(t, err)
	want := scored(2500, 0.75) // rows of 1024
	for range 2 {
		require.NoError(t, s.SaveScoring(t.Context(), key, want))
	}
	got, err := s.LoadScoring(t.Context(), run, 0, key.Scoring)
	require.NoError(t, err)
	require.Equal(t, want, got)
	one, err := s.LoadBreakdown(t.Context(), hone.TrajectoryID{Run: run, Sample: 1030}, key.Scoring)
	require.NoError(t, err)
	require.Equal(t, want[1030].Breakdown, one)
	_, err = s.LoadBreakdown(t.Context(), hone.TrajectoryID{Run: run, Sample: 2500}, key.Scoring)
	require.ErrorIs(t, err, hone.ErrNotFound)
	sums, err := s.LoadSums(t.Context(), run, 0, key.Scoring)
	require.NoError(t, err)
	require.Len(t, sums, 2500)
	require.Equal(t, storage.Sums{Sample: 2400, Total: want[2400].Breakdown.Total()}, sums[2400])

	require.ErrorIs(t, s.SaveScoring(t.Context(), key, scored(2499, 0.75)), hone.ErrConflict)
	want[1], want[2] = want[2], want[1]
	key.Iteration = 1
	require.ErrorIs(t, s.SaveScoring(t.Context(), key, want), hone.ErrInvalid, "samples in order")
}

// TestKeptScoringsAreOnDisk follows the server's log: a replay's commit is not waited for, and keeping it is.
func TestKeptScoringsAreOnDisk(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address+"&options=-c%20synchronous_commit%3Don")
	run, _ := createRun(t, s)
	key := live(run)
	var err error
	key.Scoring, err = s.AddScoring(t.Context(), run, []byte(`{"step": 0.75}`))
	require.NoError(t, err)
	require.NoError(t, s.SaveScoring(t.Context(), key, scored(5, 0.75)))
	conn := connect(t, address)
	var saved string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&saved))
	require.NoError(t, s.KeepScorings(t.Context()))
	var kept bool
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn", saved).Scan(&kept))
	require.True(t, kept)
}
