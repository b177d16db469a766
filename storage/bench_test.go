package storage_test

import (
	"testing"
	"time"

	"github.com/hone-rl/hone/storage"
	"github.com/stretchr/testify/require"
)

// BenchmarkIteration stores and loads iterations of 512 trajectories of 50 tokens and 5 steps, with fsync on.
func BenchmarkIteration(b *testing.B) {
	const n, tokens = 512, 50
	_, s := startDurable(b, b.TempDir())
	run, fence := createRun(b, s)
	rate := func(b *testing.B, begin time.Time) {
		b.Helper()
		b.ReportMetric(float64(n*b.N)/time.Since(begin).Seconds(), "trajectories/s")
	}
	iteration := 0
	b.Run("ingest", func(b *testing.B) {
		b.ReportAllocs()
		begin := time.Now()
		for b.Loop() {
			require.NoError(b, s.SaveShard(b.Context(), shardOf(run, iteration, 0, trajectories(run, iteration, n, tokens))))
			iteration++
		}
		rate(b, begin)
	})
	b.Run("repeat", func(b *testing.B) {
		b.ReportAllocs()
		shard := shardOf(run, 0, 0, trajectories(run, 0, n, tokens))
		for b.Loop() {
			require.NoError(b, s.SaveShard(b.Context(), shard))
		}
	})
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		begin := time.Now()
		for b.Loop() {
			all, err := s.LoadIteration(b.Context(), run, 0)
			require.NoError(b, err)
			require.Len(b, all, n)
		}
		rate(b, begin)
	})
	b.Run("score", func(b *testing.B) {
		b.ReportAllocs()
		key := live(run)
		begin := time.Now()
		for b.Loop() {
			require.NoError(b, s.SaveScoring(b.Context(), key, scored(n, 0.5)))
			key.Iteration++
		}
		rate(b, begin)
	})
	b.Run("commit", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			startIteration(b, s, run, i)
			c := cycle(run, fence, i)
			c.Targets = make([]storage.Target, n)
			for sample := range c.Targets {
				c.Targets[sample] = storage.Target{Sample: sample, Advantages: make([]float32, tokens), Returns: make([]float32, tokens)}
			}
			_, err := s.CommitCycle(b.Context(), c)
			require.NoError(b, err)
			i++
		}
	})
}
