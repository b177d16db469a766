//go:build e2e

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
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

// TestMachinesShareNothingButServers trains on two machines and follows from a third: each with a data directory of its own, and the
// weights in a bucket.
func TestMachinesShareNothingButServers(t *testing.T) {
	t.Parallel()
	alone, servers, learner, roller, follower := newPlace(t), newPlace(t), newPlace(t), newPlace(t), newPlace(t)
	out := events(t, succeed(t, alone.train("--cycles", "2")...))
	want := out[len(out)-1].Weights

	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("weights"))
	s3 := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(s3.Close)
	server := start(t, "server", "--data-dir", servers.dir, "--json")
	var shared []string
	server.await(t, func(e event) bool {
		shared = []string{
			"--database-url", e.DatabaseURL, "--temporal-address", e.TemporalAddress, "--blob-url",
			"s3://weights?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(s3.URL),
		}
		return true
	})
	learns, _ := learner.worker(t, append(shared, "--role", "learner,reward")...)
	rolls, _ := roller.worker(t, append(shared, "--role", "rollout", "--cache-bytes", "1")...)
	run := start(t, follower.train(append(shared, "--no-worker", "--cycles", "2")...)...)
	var got event
	run.await(t, func(e event) bool {
		got = e
		return e.Event == "result"
	})
	require.Equal(t, want, got.Weights)
	require.Contains(t, got.Path, "s3://weights sha256/")
	require.NoError(t, run.cmd.Wait())
	require.NoDirExists(t, data{path: roller.dir}.blobs())
	kept, err := filepath.Glob(filepath.Join(data{path: roller.dir}.cache(), "sha256", "*", "*"))
	require.NoError(t, err)
	require.Len(t, kept, 1, "the bound holds")

	// The run is extended, and a worker that looks for weights elsewhere must not touch it.
	run = start(t, follower.train(append(shared, "--no-worker", "--cycles", "200")...)...)
	run.await(t, func(e event) bool { return e.Event == "cycle" })
	refuse(t, command(t, append([]string{"worker", "--data-dir", roller.dir}, shared[:4]...)...), "the weights of run tiny-1", "--blob-url")
	code, _ := run.end(t, syscall.SIGINT)
	require.Equal(t, exitInterrupted, code)
	require.Contains(t, run.errs.String(), "the workers go on with the run")
	for _, b := range []*background{learns, rolls, server} {
		b.end(t, syscall.SIGTERM)
	}
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
