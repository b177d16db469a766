//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// sampledBy is everything that a run sampled and trained on, as text.
func sampledBy(t *testing.T, p place, run string) []string {
	t.Helper()
	var out []string
	query(t, p, func(ctx context.Context, conn *pgx.Conn) {
		for _, table := range []string{"trajectories", "steps", "rewards", "targets", "search_nodes", "iteration_prompts", "policy_versions"} {
			out = append(out, rows(ctx, t, conn, `SELECT md5(coalesce(string_agg(r::text, E'\n' ORDER BY r::text), '')) FROM `+table+` r
				JOIN runs USING (run_id) WHERE name = '`+run+`'`)...)
		}
		out = append(out, rows(ctx, t, conn, `SELECT md5(string_agg(s::text, E'\n' ORDER BY s::text)) FROM scores s
			JOIN runs USING (run_id) WHERE scoring_id = 0 AND name = '`+run+`'`)...)
	})
	return out
}

// TestTrainingGoesOnFromAReplay replays a run, trains on from the scoring that this saved, kills that in between, and finds the same bytes
// again; the run that was replayed stays as it is, and generates again as it was.
func TestTrainingGoesOnFromAReplay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	succeed(t, p.train("--cycles", "4", "--set", "start.traces=100", "--set", "start.sft.epochs=1")...)
	before := sampledBy(t, p, "tiny-1")
	on := func(args ...string) []string { return append(args, "--data-dir", p.dir) }

	require.Contains(t, succeed(t, on("replay", "tiny-1", "--save")...), "1032 trajectories, 0 changed")
	mended := filepath.Join(filepath.Dir(p.config), "mended.yaml")
	require.NoError(t, os.WriteFile(mended, []byte("step: 0.5\n"), 0o600))
	changed := call(t, on("replay", "tiny-1", "--reward", mended, "--save")...)
	require.Equal(t, exitChanged, changed.code, changed.err)
	require.Contains(t, changed.out, "stored as scoring 2 of run tiny-1")
	require.Contains(t, call(t, on("replay", "tiny-1", "--reward", mended, "--fresh", "3")...).out, "24 trajectories, ")
	require.Contains(t, call(t, on("replay", "tiny-1", "--fresh", "0")...).err, "want at least 1 problem")
	table := filepath.Join(filepath.Dir(p.config), "rows.parquet")
	require.Equal(t, exitChanged, call(t, on("replay", "tiny-1", "--reward", mended, "--parquet", table)...).code)
	rows, err := os.ReadFile(table)
	require.NoError(t, err)
	require.Equal(t, "PAR1", string(rows[:4]))
	require.Contains(t, succeed(t, on("regenerate", "tiny-1")...), "1032 of 1032 trajectories of run tiny-1 are the same")

	train := func(name string) []string {
		return on("train", "--from-scoring", "tiny-1/2", "--set", "from_scoring.from=2", "--run", name, "--cycles", "3", "--json")
	}
	all := events(t, succeed(t, train("whole")...))
	whole := all[len(all)-1]
	require.Equal(t, 3, whole.Version)
	require.Contains(t, all[1].Text, "2 cycles take iterations 2 to 3 of run tiny-1 under its scoring 2, going on from its version 4; "+
		"the samples are 2 to 2 updates old")

	b := start(t, train("broken")...)
	b.await(t, func(e event) bool { return e.Event == "cycle" })
	code, _ := b.end(t, syscall.SIGKILL)
	if code == 0 {
		t.Log("the run was done before it could be killed")
	}
	requireNothingRemains(t, p.dir)
	again := events(t, succeed(t, train("broken")...))
	require.Equal(t, whole.Weights, again[len(again)-1].Weights)
	require.Contains(t, succeed(t, on("regenerate", "broken")...), "774 of 774 trajectories of run broken are the same")

	var shown shownTrajectory
	require.NoError(t, json.Unmarshal([]byte(succeed(t, on("show", "whole/1/5", "--json")...)), &shown))
	require.Equal(t, "tiny-1/3/5", shown.TakenFrom)
	require.Equal(t, 2, shown.Staleness)
	sum := 0.0
	for _, s := range shown.Steps {
		sum += s.Reward
	}
	require.InDelta(t, shown.Reward, sum, 1e-12)
	if shown.Trained != nil {
		require.InDelta(t, shown.Reward, *shown.Trained, 0, "what it shows is what was trained on")
	}
	require.Equal(t, before, sampledBy(t, p, "tiny-1"), "the run that was replayed is as it was")
	refuse(t, command(t, on("train", "--from-scoring", "tiny-1/7")...), "nothing under scoring 7")
	refuse(t, command(t, on("train", "--from-scoring", "tiny-1")...), "want a run's name and a scoring")
	refuse(t, command(t, on("train", "--from-scoring", "tiny-1/2", "--set", "ppo.importance.max_staleness=1")...), "up to 4 updates old")
}
