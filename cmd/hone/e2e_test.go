//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/reward/codetest/sandbox"
	"github.com/hone-rl/hone/storage/pglocal"
)

// asCommand is the environment variable that makes the test binary the hone command: the very main that users run, linked once.
const asCommand = "HONE_E2E_COMMAND"

func TestMain(m *testing.M) {
	if code, is := sandbox.Init(); is {
		os.Exit(code)
	}
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// tiny is a run whose cycles take a fraction of a second and whose supervised start takes a few: the command looks once a second, and
// must see each. Its plan evaluates, samples and searches in several shards, so that there is much to be interrupted.
const tiny = `
task: game24
policy: {width: 64, layers: 2, heads: 2, kv_heads: 1, hidden: 128, context: 128}
game24: {wide: 200, wide_four: 13, wide_three: 24}
start: {traces: 600, sft: {epochs: 8, batch_tokens: 900}}
cycles: 12
prompts: 32
searched: 2
rollout: {group: 8, max_tokens: 64, batch: 32, search: {tree: {simulations: 6}, candidates: 3}}
ppo: {minibatches: 2}
plan:
  shards: 3
  parallel: 1
  eval_every: 3
  start: [{split: heldout, mode: greedy, limit: 20}, {split: heldout, mode: search, limit: 4}]
  every: [{split: heldout, mode: greedy, limit: 20}]
  final: [{split: heldout, mode: greedy, limit: 20}, {split: heldout, mode: search, limit: 4}]
`

const (
	tinyCycles = 12
	// tinySlots are the prompts of a cycle, and tinyTrajectories its trajectories: each of 32 prompts eight times, and two searched.
	tinySlots, tinyTrajectories = 34, 32*8 + 2
)

// place is a data directory that the account of Postgres can reach, with the tiny configuration beside it.
type place struct{ dir, config string }

func newPlace(t *testing.T) place {
	t.Helper()
	root, err := os.MkdirTemp("", "hone-e2e-") //nolint:usetesting // the parent of t.TempDir is closed to the account of Postgres
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	require.NoError(t, os.Chmod(root, 0o755))
	p := place{dir: filepath.Join(root, "data"), config: filepath.Join(root, "tiny.yaml")}
	require.NoError(t, os.WriteFile(p.config, []byte(tiny), 0o600))
	return p
}

// train is the command line that trains the tiny run.
func (p place) train(more ...string) []string {
	return append([]string{"train", "--config", p.config, "--data-dir", p.dir, "--json"}, more...)
}

// command is a call of hone with nothing of the caller's environment that would steer it.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.WaitDelay = 10 * time.Second
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HONE_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asCommand+"=1", "HONE_SHARED=/nonexistent", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret")
	return cmd
}

// said is what a call wrote, and its exit code.
type said struct {
	out, err string
	code     int
}

func call(t *testing.T, args ...string) said {
	t.Helper()
	return finish(t, command(t, args...))
}

func finish(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return said{out: out.String(), err: errs.String(), code: cmd.ProcessState.ExitCode()}
}

// succeed requires that a call did.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	s := call(t, args...)
	require.Zero(t, s.code, "%v\n%s%s", args, s.out, s.err)
	return s.out
}

// refuse requires that a call fails with one clear error that holds all the texts.
func refuse(t *testing.T, cmd *exec.Cmd, texts ...string) {
	t.Helper()
	s := finish(t, cmd)
	require.Equal(t, exitError, s.code, "%v\n%s%s", cmd.Args, s.out, s.err)
	require.Equal(t, 1, strings.Count(s.err, "hone: "), s.err)
	require.Equal(t, 1, strings.Count(s.err, "\n"), "one line: %s", s.err)
	for _, text := range texts {
		require.Contains(t, s.err, text)
	}
}

// event is one line of train --json.
type event struct {
	Event   string `json:"event"`
	Phase   string `json:"phase"`
	Cycle   int    `json:"cycle"`
	Weights string `json:"weights"`
	Text    string `json:"text"`
	Version int    `json:"version"`
	Path    string `json:"path"`
	Health  string `json:"health"`

	DatabaseURL     string `json:"database_url"`
	TemporalAddress string `json:"temporal_address"`
}

func events(t *testing.T, out string) []event {
	t.Helper()
	var all []event
	for line := range strings.Lines(out) {
		var e event
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		all = append(all, e)
	}
	return all
}

// background is a call that goes on beside the test.
type background struct {
	cmd    *exec.Cmd
	events *bufio.Scanner
	errs   *strings.Builder
}

func start(t *testing.T, args ...string) *background {
	t.Helper()
	b := &background{cmd: command(t, args...), errs: new(strings.Builder)}
	b.cmd.Stderr = b.errs
	out, err := b.cmd.StdoutPipe()
	require.NoError(t, err)
	b.events = bufio.NewScanner(out)
	require.NoError(t, b.cmd.Start())
	return b
}

// await reads events until one fits.
func (b *background) await(t *testing.T, fits func(event) bool) {
	t.Helper()
	for b.events.Scan() {
		var e event
		require.NoError(t, json.Unmarshal(b.events.Bytes(), &e), b.events.Text())
		if fits(e) {
			return
		}
	}
	_ = b.cmd.Wait()
	require.Fail(t, "the call ended too soon", b.errs.String())
}

// end sends the signal, and returns the exit code (-1 for a killed process) and how long the process took to end.
func (b *background) end(t *testing.T, sig syscall.Signal) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	require.NoError(t, b.cmd.Process.Signal(sig))
	_, err := io.Copy(io.Discard, readerOf(b.events))
	require.NoError(t, err)
	_ = b.cmd.Wait()
	return b.cmd.ProcessState.ExitCode(), time.Since(began)
}

// readerOf drains a scanner.
func readerOf(s *bufio.Scanner) io.Reader { return scannerReader{s} }

type scannerReader struct{ *bufio.Scanner }

func (s scannerReader) Read([]byte) (int, error) {
	if s.Scan() {
		return 0, nil
	}
	return 0, io.EOF
}

// remain are the processes that work in a directory, or name it in their arguments.
func remain(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// A process may end while it is looked at.
		cwd, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if strings.HasPrefix(cwd, dir) || strings.Contains(string(line), dir) {
			out = append(out, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(string(line), "\x00", " ")))
		}
	}
	return out
}

// requireNothingRemains waits for what is on its way out.
func requireNothingRemains(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(remain(t, dir)) == 0 }, 10*time.Second, 20*time.Millisecond, "%v", remain(t, dir))
}

// query gives f a connection to the record of a directory that nobody uses.
func query(t *testing.T, p place, f func(ctx context.Context, conn *pgx.Conn)) {
	t.Helper()
	ctx := t.Context()
	server, err := pglocal.Start(ctx, pglocal.Options{Dir: data{path: p.dir}.postgres()})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop(ctx)) }()
	conn, err := pgx.Connect(ctx, server.URL(database))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	f(ctx, conn)
}

// rows are a query's rows as text.
func rows(ctx context.Context, t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	found, err := conn.Query(ctx, sql)
	require.NoError(t, err)
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}
