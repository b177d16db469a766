package storage_test

import (
	"testing"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

// doc/scale.md calculates with these: bytes on disk of a trajectory of 50 tokens and 5 steps under 3 layers of reward, indexes and
// all, and the rows that it is.
const (
	bytesPerTrajectory = 4200
	rowsPerTrajectory  = 1 + 5 + 1 + 3 + 1 // itself, its steps, its score, the score's layers, its targets
)

func TestTrajectoriesTakeWhatIsStated(t *testing.T) {
	t.Parallel()
	const n, tokens, steps = 2048, 50, 5
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	run, fence := createRun(t, s)
	startIteration(t, s, run, 0)
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 0, 0, trajectories(run, 0, n, tokens))))
	require.NoError(t, s.SaveScoring(t.Context(), live(run), scored(n, 0.5)))
	c := cycle(run, fence, 0)
	c.Targets = make([]storage.Target, n)
	for sample := range c.Targets {
		c.Targets[sample] = storage.Target{Sample: sample, Advantages: make([]float32, tokens), Returns: make([]float32, tokens)}
	}
	_, err := s.CommitCycle(t.Context(), c)
	require.NoError(t, err)
	conn := connect(t, address)
	bytes, rows := 0, 0
	for _, table := range []string{"trajectories", "steps", "scores", "rewards", "targets"} {
		size := count(t, conn, `SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::int
			FROM pg_inherits WHERE inhparent = '`+table+`'::regclass`)
		held := count(t, conn, "SELECT count(*)::int FROM "+table)
		t.Logf("%s: %d bytes and %.1f rows a trajectory", table, size/n, float64(held)/n)
		bytes, rows = bytes+size, rows+held
	}
	require.LessOrEqual(t, bytes/n, bytesPerTrajectory)
	require.LessOrEqual(t, rows/n, rowsPerTrajectory)
}
