package temporallocal_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/workflows/temporallocal"
)

const queue = "greetings"

func greet(_ workflow.Context, name string) (string, error) { return "hello " + name, nil }

// records collects what the server logs.
type records struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// postgres starts a private Postgres for one test, or skips the test where there are no binaries.
func postgres(t *testing.T) *pglocal.Server {
	t.Helper()
	if _, err := pglocal.Find("", ""); err != nil {
		t.Skipf("no Postgres binaries: %v", err)
	}
	pg, err := pglocal.Start(t.Context(), pglocal.Options{Dir: t.TempDir(), Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop(context.Background())) })
	return pg
}

func start(t *testing.T, o temporallocal.Options) *temporallocal.Server {
	t.Helper()
	began := time.Now()
	server, err := temporallocal.Start(t.Context(), o)
	require.NoError(t, err)
	t.Logf("started in %v", time.Since(began))
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func stop(t *testing.T, server *temporallocal.Server) {
	t.Helper()
	began := time.Now()
	require.NoError(t, server.Stop())
	took := time.Since(began)
	t.Logf("stopped in %v", took)
	require.Less(t, took, 5*time.Second)
}

func dial(t *testing.T, server *temporallocal.Server) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func run(t *testing.T, c client.Client, id string) string {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(greet)
	require.NoError(t, w.Start())
	defer w.Stop()
	handle, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, greet, id)
	require.NoError(t, err)
	var got string
	require.NoError(t, handle.Get(t.Context(), &got))
	return got
}

func TestServerKeepsHistoriesOverARestart(t *testing.T) {
	t.Parallel()
	pg := postgres(t)
	var log records
	o := temporallocal.Options{URL: pg.URL("postgres"), Logger: slog.New(slog.NewTextHandler(&log, nil))}

	server := start(t, o)
	host, _, err := net.SplitHostPort(server.Address())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
	c := dial(t, server)
	require.Equal(t, "hello first", run(t, c, "first"))
	c.Close()
	stop(t, server)
	stop(t, server)

	server = start(t, o)
	c = dial(t, server)
	var got string
	require.NoError(t, c.GetWorkflow(t.Context(), "first", "").Get(t.Context(), &got))
	require.Equal(t, "hello first", got)
	require.Equal(t, "hello second", run(t, c, "second"))
	c.Close()
	stop(t, server)
	require.NotContains(t, log.String(), "level=ERROR")
	t.Logf("log lines: %d\n%s", strings.Count(log.String(), "\n"), log.String())
}

func TestStartRefusesASecondOwner(t *testing.T) {
	t.Parallel()
	pg := postgres(t)
	o := temporallocal.Options{URL: pg.URL("postgres")}
	start(t, o)
	_, err := temporallocal.Start(t.Context(), o)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "another temporal server")
}

func TestStartOnOtherSchemas(t *testing.T) {
	t.Parallel()
	pg := postgres(t)
	o := temporallocal.Options{URL: pg.URL("postgres"), Database: "clock", Namespace: "hone"}
	stop(t, start(t, o))

	db, err := pgx.Connect(t.Context(), pg.URL("clock_visibility"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close(context.Background())) })
	version := func(to string) {
		t.Helper()
		_, err := db.Exec(t.Context(), `UPDATE schema_version SET curr_version = $1`, to)
		require.NoError(t, err)
	}

	// An older one, whose last update is applied again.
	version("1.13")
	stop(t, start(t, o))
	var got string
	require.NoError(t, db.QueryRow(t.Context(), `SELECT curr_version FROM schema_version`).Scan(&got))
	require.NotEqual(t, "1.13", got)

	version("9.1")
	_, err = temporallocal.Start(t.Context(), o)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "clock_visibility has temporal schema 9.1, newer")
}

func TestStartRefusesATakenPort(t *testing.T) {
	t.Parallel()
	pg := postgres(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = temporallocal.Start(t.Context(), temporallocal.Options{URL: pg.URL("postgres"), Port: port})
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, strconv.Itoa(port))
}

func TestStartNamesEveryBadOption(t *testing.T) {
	t.Parallel()
	_, err := temporallocal.Start(t.Context(), temporallocal.Options{
		URL: "mysql://x", Database: `a"b`, Retention: time.Minute, Port: 70000,
	})
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{"postgres:// URL", `a\"b`, "1m0s", "70000"} {
		require.ErrorContains(t, err, part)
	}
}

func TestStartSaysWhenPostgresIsAway(t *testing.T) {
	t.Parallel()
	_, err := temporallocal.Start(t.Context(), temporallocal.Options{URL: "postgres://hone@/postgres?host=" + t.TempDir() + "&port=5432"})
	require.ErrorIs(t, err, hone.ErrUnavailable)
}
