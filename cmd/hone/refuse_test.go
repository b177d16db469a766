//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestBadInputStartsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	broken := filepath.Join(filepath.Dir(p.config), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("task: game24\nppo:\n  learning_rat: 1\n"), 0o600))
	refuse(t, command(t, "train", "--config", broken, "--data-dir", p.dir), "broken.yaml:3:3: ppo.learning_rat: unknown field")
	refuse(t, command(t, p.train("--set", "ppo.gama=1")...), "--set ppo.gama=1: ppo.gama: unknown field")
	refuse(t, command(t, p.train("--set", "ppo.gamma=2")...), "gamma is 2, must be in [0, 1]")
	refuse(t, command(t, p.train("--cycles", "0")...), "cycles 0: want at least 1")
	refuse(t, command(t, p.train("--run", "../escape")...), `run name "../escape"`)
	refuse(t, command(t, "train", "--config", "/nonexistent.yaml", "--data-dir", p.dir), "/nonexistent.yaml", "no such file")
	refuse(t, command(t, p.train("--yao", "/nonexistent.csv")...), "/nonexistent.csv")
	require.NoDirExists(t, p.dir)
	require.Equal(t, exitUsage, call(t, "train", "--preset", "demo", "--cycels", "3").code)
	require.Equal(t, exitUsage, call(t, "train", "--preset", "demo", "--config", p.config).code)
	require.Equal(t, exitUsage, call(t, "solve").code)
	require.Equal(t, exitUsage, call(t, "dance").code)
}

func TestLookingWhereNothingWasTrained(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.JSONEq(t, "[]", succeed(t, "runs", "--json", "--data-dir", p.dir))
	require.Contains(t, succeed(t, "runs", "--data-dir", p.dir), "train --data-dir "+p.dir+" --preset demo")
	refuse(t, command(t, "status", "--data-dir", p.dir), "no runs in "+p.dir)
	refuse(t, command(t, "solve", "4 5 6 10", "--data-dir", p.dir), "no runs in "+p.dir)
	require.NoDirExists(t, data{path: p.dir}.postgres())
}

func TestMissingPostgres(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd := command(t, p.train("--pg-bin", t.TempDir())...)
	cmd.Env = append(cmd.Env, "PATH=")
	refuse(t, cmd, "Postgres", "initdb")
	refuse(t, command(t, p.train("--database-url", "postgres://hone@127.0.0.1:1/hone?connect_timeout=2")...), "--database-url", "127.0.0.1:1")
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, os.Mkdir(p.dir, 0o755))
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "mode=0755,size=16m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(p.dir, 0)) })
	refuse(t, command(t, p.train()...), "the disk is full", "16 MB are free", "--data-dir")
}

// TestDiskThatFillsUp fills the disk under a run, then makes room: whatever became of the call, the same command ends as a run
// does that always had room.
func TestDiskThatFillsUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	require.NoError(t, os.Mkdir(p.dir, 0o755))
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "mode=0755,size=400m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(p.dir, 0)) })
	b := start(t, p.train()...)
	b.await(t, func(e event) bool { return e.Event == "cycle" })
	fill := filepath.Join(p.dir, "fill")
	f, err := os.Create(fill)
	require.NoError(t, err)
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(block)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
	// The run either says why it tries again, or Postgres has ended and the call with it.
	for b.events.Scan() && !strings.Contains(b.events.Text(), "disk") && !strings.Contains(b.events.Text(), "space") {
		continue
	}
	require.NoError(t, os.Remove(fill))
	b.end(t, syscall.SIGKILL)
	requireNothingRemains(t, p.dir)
	succeed(t, p.train()...)
	query(t, p, func(ctx context.Context, conn *pgx.Conn) { requireWhole(ctx, t, conn) })
}

// TestRecordThatCannotBeUsed damages a finished run in ways that must be noticed, mends it, and finds it as it was.
func TestRecordThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	out := events(t, succeed(t, p.train("--cycles", "1")...))
	weights := out[len(out)-1].Weights
	before := statusOf(t, p)

	// A database from a newer version.
	query(t, p, func(ctx context.Context, conn *pgx.Conn) {
		_, err := conn.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
		require.NoError(t, err)
	})
	refuse(t, command(t, p.train("--cycles", "2")...), "schema version 999", "newer hone", "nothing was changed")
	refuse(t, command(t, "runs", "--data-dir", p.dir), "schema version 999")
	query(t, p, func(ctx context.Context, conn *pgx.Conn) {
		_, err := conn.Exec(ctx, `DELETE FROM goose_db_version WHERE version_id = 999`)
		require.NoError(t, err)
	})

	// A corrupted checkpoint: one bit.
	path := filepath.Join(data{path: p.dir}.blobs(), "sha256", weights[:2], weights)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	flip := func() {
		content[len(content)/2] ^= 1
		require.NoError(t, os.Chmod(path, 0o600))
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	flip()
	refuse(t, command(t, "solve", "4 5 6 10", "--data-dir", p.dir), weights, "corrupt")
	refuse(t, command(t, p.train("--cycles", "2")...), weights, "corrupt")
	require.Contains(t, succeed(t, "status", "--data-dir", p.dir), "failed, 1 of ")
	found := call(t, "verify", "--data-dir", p.dir)
	require.Equal(t, exitUnsound, found.code)
	require.Contains(t, found.out, "fault    version 1, weights: blob "+weights)
	require.Equal(t, "hone: the record does not hold together: 1 fault\n", found.err)
	flip()

	// Questions that make no sense.
	refuse(t, command(t, "solve", "4 5 6", "--data-dir", p.dir), `puzzle "4 5 6" has 3 numbers: want four`)
	refuse(t, command(t, "solve", "4 5 6 ten", "--data-dir", p.dir), `puzzle "4 5 6 ten"`)
	refuse(t, command(t, "solve", "4 5 6 10 11", "--data-dir", p.dir), "has 5 numbers: want four")
	refuse(t, command(t, "solve", "4 5 6 10", "--version", "7", "--data-dir", p.dir), "has versions 0 to 1, not 7")
	refuse(t, command(t, "status", "nobody", "--data-dir", p.dir), "there is no run nobody")
	refuse(t, command(t, "train", "--run", "nobody", "--data-dir", p.dir), "there is no run nobody")
	refuse(t, command(t, "eval", "--split", "yao2023", "--data-dir", p.dir), "needs the list of puzzles")
	refuse(t, command(t, "eval", "--split", "nowhere", "--data-dir", p.dir), "nowhere")
	refuse(t, command(t, "eval", "--mode", "dance", "--data-dir", p.dir), `mode "dance"`)
	refuse(t, command(t, p.train("--set", "ppo.gamma=0.5", "--seed", "1")...), "created with other settings", "ppo.gamma: stored 1, given 0.5")
	refuse(t, command(t, p.train("--seed", "2", "--run", "tiny-1")...), "seed: stored 1, given 2")

	after := statusOf(t, p)
	after.Status, after.Reason = before.Status, before.Reason // of the attempt with the corrupted checkpoint
	require.Equal(t, before, after)
	succeed(t, p.train("--cycles", "2")...)
	require.Equal(t, 2, statusOf(t, p).Version)
}

// statusOf is a run's status; without a name it is the newest run's.
func statusOf(t *testing.T, p place, name ...string) runStatus {
	t.Helper()
	var s runStatus
	require.NoError(t, json.Unmarshal([]byte(succeed(t, append([]string{"status", "--json", "--data-dir", p.dir}, name...)...)), &s))
	return s
}

// TestSecondProcess looks at a run beside the process that trains it, and is refused where it would train too.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	b := start(t, p.train("--cycles", "1000", "--set", "plan.eval_every=0")...)
	b.await(t, func(e event) bool { return e.Event == "cycle" })

	began := time.Now()
	refuse(t, command(t, p.train("--cycles", "1000")...), "is in use by process", "hone train", "--data-dir")
	require.Less(t, time.Since(began), 5*time.Second)
	refuse(t, command(t, "server", "--data-dir", p.dir), "is in use by process")

	live := statusOf(t, p)
	require.Equal(t, "running", live.Status)
	require.NotNil(t, live.Live)
	require.Equal(t, 1000, live.Live.Progress.Cycles)
	require.Contains(t, succeed(t, "status", "--data-dir", p.dir), "of 1000 cycles")
	require.Contains(t, succeed(t, "runs", "--data-dir", p.dir), "tiny-1  running")
	require.Contains(t, succeed(t, "solve", "4 5 6 10", "--data-dir", p.dir), "Use 4 5 6 10 to make 24.")
	require.Contains(t, succeed(t, "eval", "--limit", "5", "--data-dir", p.dir), "5 held-out puzzles, greedy")

	code, took := b.end(t, syscall.SIGTERM)
	require.Equal(t, exitInterrupted, code)
	require.Less(t, took, 5*time.Second)
	requireNothingRemains(t, p.dir)
	require.NoFileExists(t, data{path: p.dir}.serverFile())
	left := statusOf(t, p)
	require.Equal(t, "interrupted", left.Status)

	// Another run in the same directory doesn't take this one up.
	require.Contains(t, succeed(t, p.train("--run", "other", "--cycles", "1")...), "run tiny-1, which was interrupted, stays as it is")
	after := statusOf(t, p, "tiny-1")
	require.Equal(t, left.Version, after.Version)
	b = start(t, p.train("--cycles", "1000", "--set", "plan.eval_every=0")...)
	b.await(t, func(e event) bool { return e.Event == "cycle" })
	b.end(t, syscall.SIGKILL)
	require.Greater(t, statusOf(t, p, "tiny-1").Version, left.Version)
}

// TestServersApart runs the servers as a process of their own, kills the trainer, and goes on without starting them again.
func TestServersApart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := start(t, "server", "--json", "--data-dir", p.dir)
	s.await(t, func(event) bool { return true })

	b := start(t, p.train()...)
	b.await(t, func(e event) bool { return e.Event == "cycle" })
	code, _ := b.end(t, syscall.SIGKILL)
	require.Equal(t, -1, code)
	require.Len(t, filter(remain(t, p.dir), "-D"), 1, "Postgres is still there")

	succeed(t, p.train()...)
	before := statusOf(t, p)
	require.Equal(t, "succeeded", before.Status)
	again := events(t, succeed(t, p.train()...))
	require.Equal(t, "tiny-1 is finished, with all its 12 cycles: nothing to do (more with --cycles)", again[0].Text)
	require.Equal(t, before, statusOf(t, p), "the same command once more did nothing")
	refuse(t, command(t, "server", "--data-dir", p.dir), "is in use by process", "hone server")
	code, took := s.end(t, syscall.SIGINT)
	require.Equal(t, exitInterrupted, code)
	require.Less(t, took, 5*time.Second)
	requireNothingRemains(t, p.dir)
	query(t, p, func(ctx context.Context, conn *pgx.Conn) { requireWhole(ctx, t, conn) })
}

func filter(lines []string, text string) []string {
	var out []string
	for _, l := range lines {
		if strings.Contains(l, text) {
			out = append(out, l)
		}
	}
	return out
}

// TestDoctor finds this machine fit, which these tests need.
func TestDoctor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var findings []finding
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "doctor", "--json", "--data-dir", p.dir)), &findings))
	var checks []string
	for _, f := range findings {
		checks = append(checks, f.Check)
		require.NotEqual(t, broken, f.Health, f.Found)
	}
	require.Equal(t, []string{"hone", "processor", "kernels", "data", "puzzles", "postgres", "temporal"}, checks)

	cmd := command(t, "doctor", "--data-dir", p.dir, "--pg-bin", t.TempDir())
	cmd.Env = append(cmd.Env, "PATH=")
	s := finish(t, cmd)
	require.Equal(t, exitError, s.code)
	require.Contains(t, s.out, "fail  postgres")
	require.Contains(t, s.err, "checks failed")
}
