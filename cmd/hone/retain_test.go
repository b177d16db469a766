//go:build e2e

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/storage/backup"
)

// A run is scraped while it trains, backed up, and goes on from the backup to the same bytes as without; what retention takes is gone
// and everything else holds.
func TestRunsAreScrapedBackedUpAndCollected(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	b := start(t, p.train("--cycles", "3", "--metrics-address", "127.0.0.1:0")...)
	at := ""
	b.await(t, func(e event) bool {
		if rest, ok := strings.CutPrefix(e.Text, "metrics on "); ok {
			at = rest
		}
		return e.Event == "cycle" && e.Cycle == 1
	})
	answer, err := http.Get(at)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	for _, line := range []string{
		`hone_cycles_total\{.*\} \d`, `hone_kernel_seconds_total\{.*kernel="linear".*\} `,
		`hone_queue_workers\{kind="activity",task_queue="hone-train"\} 1`,
		`temporal_activity_execution_latency_seconds_count\{.*activity_type="RolloutShard".*\} `, `go_goroutines `,
	} {
		require.Regexp(t, `(?m)^`+line, string(text))
	}
	_, err = io.Copy(io.Discard, readerOf(b.events))
	require.NoError(t, err)
	require.NoError(t, b.cmd.Wait(), b.errs)

	dir := filepath.Join(filepath.Dir(p.dir), "backups")
	var made backup.Summary
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "backup", dir, "--json", "--data-dir", p.dir)), &made))
	require.Positive(t, made.Rows)
	other := place{dir: filepath.Join(filepath.Dir(p.dir), "other"), config: p.config}
	succeed(t, "restore", dir, "--data-dir", other.dir)
	succeed(t, "restore", dir, "--data-dir", other.dir) // as after a death: nothing is there twice
	require.Equal(t, verified(t, p).Digest, verified(t, other).Digest)
	for _, one := range []place{p, other} {
		succeed(t, one.train("--cycles", "4")...)
	}
	refuse(t, command(t, "restore", dir, "--data-dir", other.dir), "want an empty one")
	require.Equal(t, verified(t, p).Digest, verified(t, other).Digest)

	refuse(t, command(t, "gc", "--grace", "1s", "--data-dir", p.dir), "want at least 1h0m0s")
	refuse(t, command(t, "gc", "--weights", "-1", "--data-dir", p.dir), "weights -1")
	var c collected
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "gc", "--weights", "1", "--optimisers", "1", "--iterations", "2", "--save",
		"--json", "--data-dir", p.dir)), &c))
	require.Len(t, c.Runs, 1)
	require.Equal(t, []int{1, 2, 3}, c.Runs[0].Weights)
	require.Equal(t, []int{0, 1}, c.Runs[0].Iterations)
	require.Empty(t, c.Blobs.Deleted, "all is young")
	require.NotEqual(t, verified(t, other).Digest, verified(t, p).Digest, "what is gone is no part of it")
	require.Contains(t, succeed(t, "gc", "--dry-run", "--data-dir", p.dir), "weights of the newest 1", "the settings are kept")
	succeed(t, p.train("--cycles", "5")...)
	refuse(t, command(t, "migrate", "--data-dir", p.dir), "--database-url")
}
