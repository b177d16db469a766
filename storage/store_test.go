package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

const hour = time.Hour

// background is for cleaning up after the test's own context has ended.
func background(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

// digestOf is a digest that is easy to tell from others.
func digestOf(n int) blob.Digest { return blob.Digest(strings.Repeat(fmt.Sprintf("%02x", n), 32)) }

func versionOf(n int) storage.Version {
	return storage.Version{Weights: digestOf(n), Optimiser: digestOf(n + 100), State: fmt.Appendf(nil, `{"kl":1e-05, "cursor": %d}`, n)}
}

func newRun(name string) storage.NewRun {
	return storage.NewRun{
		Name: name, Config: json.RawMessage(`{"ppo":{"epochs":4,"lr":0.001}}`), Seed: 1<<63 + 7,
		Dataset: "d", Commit: "c", Fingerprint: "f",
	}
}

// createRun makes a run whose version 0 is published, and returns its trainer's fence.
func createRun(t testing.TB, s *storage.Store) (hone.RunID, int64) {
	t.Helper()
	r, err := s.CreateRun(t.Context(), newRun("run"))
	require.NoError(t, err)
	fence, err := s.AcquireLease(t.Context(), r.ID, "trainer", hour)
	require.NoError(t, err)
	require.NoError(t, s.PublishFirst(t.Context(), r.ID, fence, storage.First{Version: versionOf(0)}))
	return r.ID, fence
}

// connect is a plain connection to a store's database, to look behind it.
func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(background(t)) })
	return conn
}

func count(t testing.TB, conn *pgx.Conn, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// trajectories makes n trajectories of so many tokens, a function of their names alone.
func trajectories(run hone.RunID, iteration, n, tokens int) []hone.Trajectory {
	all := make([]hone.Trajectory, n)
	for sample := range all {
		seed := hone.Seed(1, iteration, sample)
		rng := hone.Rand(seed)
		tr := hone.Trajectory{
			ID:        hone.TrajectoryID{Run: run, Iteration: iteration, Sample: sample},
			Problem:   hone.Problem{Task: "game24", Key: fmt.Sprint(sample), Prompt: "Use 4 5 6 10 to make 24.\n"},
			Behaviour: iteration, Source: hone.SourceSample, Seed: seed, Fingerprint: "portable", Bootstrap: rng.Float32(),
			Prompt: []hone.TokenID{1, 2, 3}, Tokens: make([]hone.TokenID, tokens), Logp: make([]float32, tokens),
			Values: make([]float32, tokens), Finish: hone.FinishStop, Text: "10 - 4 = 6 (left: 5 6 6)\nAnswer: …",
		}
		for i := range tokens {
			tr.Tokens[i], tr.Logp[i], tr.Values[i] = hone.TokenID(rng.IntN(300)), -rng.Float32(), rng.Float32()
		}
		for from := 0; from < tokens; from += 10 {
			tr.Steps = append(tr.Steps, hone.Step{Text: "10 - 4 = 6 (left: 5 6 6)", From: from, To: min(from+10, tokens)})
		}
		all[sample] = tr
	}
	return all
}

func shardOf(run hone.RunID, iteration, shard int, all []hone.Trajectory) storage.Shard {
	return storage.Shard{Key: storage.ShardKey{Run: run, Iteration: iteration, Shard: shard}, Trajectories: all}
}
