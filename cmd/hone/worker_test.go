//go:build e2e

package main

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// look asks a worker's probe.
func look(t *testing.T, address, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

// worker starts a worker with probes and waits until it takes work.
func (p place) worker(t *testing.T, more ...string) (b *background, health string) {
	t.Helper()
	b = start(t, append([]string{"worker", "--data-dir", p.dir, "--json", "--health-address", "127.0.0.1:0"}, more...)...)
	b.await(t, func(e event) bool {
		health = e.Health
		return e.Event == "worker"
	})
	return b, health
}

// TestWorkersOfRolesMakeTheSameBytes leaves a run to workers, of which one is told to end and one is killed in mid-run, and others come.
func TestWorkersOfRolesMakeTheSameBytes(t *testing.T) {
	t.Parallel()
	alone, shared := newPlace(t), newPlace(t)
	out := events(t, succeed(t, alone.train("--cycles", "4")...))
	want := out[len(out)-1].Weights

	early := start(t, "worker", "--data-dir", shared.dir, "--json", "--wait", "1m")
	server := start(t, "server", "--data-dir", shared.dir)
	early.await(t, func(e event) bool { return e.Event == "worker" })
	require.Contains(t, early.errs.String(), "nothing serves "+shared.dir)
	code, _ := early.end(t, syscall.SIGTERM)
	require.Zero(t, code, early.errs)

	learner, health := shared.worker(t, "--role", "learner,reward")
	status, body := look(t, health, "/readyz")
	require.Equal(t, http.StatusOK, status, body)
	first, _ := shared.worker(t, "--role", "rollout", "--drain", "10s")
	second, _ := shared.worker(t, "--role", "rollout")
	run := start(t, shared.train("--no-worker", "--cycles", "4", "--set", "plan.parallel=2")...)
	run.await(t, func(e event) bool { return e.Event == "cycle" })
	code, took := first.end(t, syscall.SIGTERM)
	require.Zero(t, code, first.errs)
	require.Less(t, took, 12*time.Second)
	require.Equal(t, "hone: stopping; what is under way has 10s to end\n", first.errs.String())
	code, _ = second.end(t, syscall.SIGKILL)
	require.Equal(t, -1, code)
	third, _ := shared.worker(t, "--role", "rollout")
	var got event
	run.await(t, func(e event) bool {
		got = e
		return e.Event == "result"
	})
	require.Equal(t, want, got.Weights)
	for _, b := range []*background{learner, third, server} {
		code, _ := b.end(t, syscall.SIGTERM)
		require.Contains(t, []int{0, exitInterrupted}, code)
	}
	require.NoError(t, run.cmd.Wait())
	requireNothingRemains(t, shared.dir)
}

func TestWorkersAreRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	refuse(t, command(t, "worker", "--data-dir", p.dir, "--role", "sampler"), `role "sampler"`, "rollout")
	refuse(t, command(t, "worker", "--data-dir", p.dir, "--parallel", "0"), "--parallel 0")
	refuse(t, command(t, p.train("--no-worker")...), "--no-worker", "--temporal-address")
	away := call(t, "worker", "--wait", "2s", "--data-dir", p.dir, "--temporal-address", "127.0.0.1:1",
		"--database-url", "postgres://hone@127.0.0.1:1/hone?connect_timeout=2")
	require.Equal(t, exitError, away.code)
	require.Contains(t, away.err, "waiting for it, for up to 2s")
	require.Equal(t, 1, strings.Count(away.err, "given up after --wait 2s"), away.err)
	require.Contains(t, away.err, "127.0.0.1:1")
}
