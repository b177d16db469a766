//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/verify"
)

// record is all that a run left, as text, but for times: two runs of one seed have the same.
func record(t *testing.T, p place) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	query(t, p, func(ctx context.Context, conn *pgx.Conn) {
		for name, sql := range map[string]string{
			"versions": `SELECT concat_ws(' ', version, encode(weights, 'hex'), encode(optimiser, 'hex'), state)
				FROM policy_versions ORDER BY version`,
			"metrics": `SELECT concat_ws(' ', iteration, name, value) FROM iteration_metrics
				WHERE name NOT LIKE 'seconds\_%' ORDER BY iteration, name`,
			"trajectories": `SELECT concat_ws(' ', iteration, sample, problem_key, behaviour, source, seed, finish, bootstrap, completion,
				md5(tokens)) FROM trajectories ORDER BY iteration, sample`,
			"scores":  `SELECT concat_ws(' ', iteration, sample, outcome, total) FROM scores ORDER BY iteration, sample`,
			"targets": `SELECT concat_ws(' ', iteration, sample, reward, md5(packed)) FROM targets ORDER BY iteration, sample`,
			"prompts": `SELECT concat_ws(' ', iteration, slot, problem_key, state, reason) FROM iteration_prompts ORDER BY iteration, slot`,
			"nodes": `SELECT concat_ws(' ', iteration, sample, node, parent, visits, value_sum, prior, action) FROM search_nodes
				ORDER BY iteration, sample, node`,
			"evaluations": `SELECT concat_ws(' ', version, split, mode, problem_limit, problems, tokens, encode(digest, 'hex'))
				FROM evaluations ORDER BY version, split, mode, problem_limit`,
			"run": `SELECT concat_ws(' ', name, config, seed, dataset, status, error) FROM runs`,
		} {
			out[name] = rows(ctx, t, conn, sql)
		}
		requireWhole(ctx, t, conn)
	})
	return out
}

// requireWhole counts in SQL: no trajectory is lost or doubled, and each prompt ended exactly once.
func requireWhole(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, want := range []struct {
		table, key string
		rows       int
	}{{"trajectories", "sample", tinyTrajectories}, {"scores", "sample", tinyTrajectories}, {"iteration_prompts", "slot", tinySlots}} {
		counts := rows(ctx, t, conn, `SELECT concat_ws(' ', count(*), count(DISTINCT `+want.key+`)) FROM `+want.table+` GROUP BY iteration`)
		require.Len(t, counts, tinyCycles, want.table)
		for _, n := range counts {
			require.Equal(t, fmt.Sprintf("%d %d", want.rows, want.rows), n, want.table)
		}
	}
	require.Equal(t, []string{fmt.Sprintf("done %d", tinyCycles)},
		rows(ctx, t, conn, `SELECT concat_ws(' ', status, count(*)) FROM iterations GROUP BY status`))
}

// TestKilledRunEndsInTheSameBytes interrupts a run again and again, at seeded moments, with kill -9 and with Ctrl-C, and types the
// same command until the run is done. What is then in the record is what a run that nobody interrupted leaves.
func TestKilledRunEndsInTheSameBytes(t *testing.T) {
	t.Parallel()
	whole := newPlace(t)
	out := events(t, succeed(t, whole.train()...))
	last := out[len(out)-1]
	require.Equal(t, "result", last.Event)
	require.Equal(t, tinyCycles, last.Version)
	requireNothingRemains(t, whole.dir)

	broken := newPlace(t)
	rng := hone.Rand(hone.Seed(24, "kill"))
	cycle := func(e event) bool { return e.Event == "cycle" }
	landed := 0
	for _, blow := range []struct {
		after func(event) bool
		// within bounds the wait: cycles of the tiny run are so short that a longer one may find the run at its end.
		within time.Duration
		signal syscall.Signal
	}{
		{nil, 700 * time.Millisecond, syscall.SIGKILL}, // while the servers start for the first time
		{nil, 700 * time.Millisecond, syscall.SIGINT},
		{func(e event) bool { return e.Phase == "supervised" }, 300 * time.Millisecond, syscall.SIGKILL},
		{cycle, 100 * time.Millisecond, syscall.SIGKILL},
		{cycle, 100 * time.Millisecond, syscall.SIGINT},
		{cycle, 100 * time.Millisecond, syscall.SIGKILL},
	} {
		b := start(t, broken.train()...)
		if blow.after != nil {
			b.await(t, blow.after)
		}
		<-time.After(time.Duration(rng.Int64N(int64(blow.within)))) // the moment is the test's input
		code, took := b.end(t, blow.signal)
		if code == 0 {
			t.Logf("the run was done before blow %d", landed+1)
			break
		}
		landed++
		if blow.signal == syscall.SIGINT {
			require.Equal(t, exitInterrupted, code, b.errs)
			require.Regexp(t, "^hone: (interrupted|stopping; nothing is lost. To go on: .*)\n$", b.errs.String())
			require.Less(t, took, 5*time.Second)
			t.Logf("Ctrl-C took %v", took)
		} else {
			require.Equal(t, -1, code, b.errs)
		}
		requireNothingRemains(t, broken.dir)
	}
	require.GreaterOrEqual(t, landed, 5, "the first three come before any cycle")
	out = events(t, succeed(t, broken.train()...))
	require.Equal(t, last.Weights, out[len(out)-1].Weights)
	require.Equal(t, record(t, whole), record(t, broken))
	require.Equal(t, verified(t, whole).Digest, verified(t, broken).Digest)
}

// verified is the check of a directory's only run, in which all must hold.
func verified(t *testing.T, p place) verify.Report {
	t.Helper()
	var reports []verify.Report
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "verify", "--json", "--data-dir", p.dir)), &reports))
	require.Len(t, reports, 1)
	require.Empty(t, reports[0].Faults)
	return reports[0]
}
