// Package storagetest gives each test a database of its own on a real PostgreSQL.
//
// The server is the one at HONE_TEST_DATABASE_URL (an address whose user may create databases), else a private one of the test
// process, without durability. A test that needs a database and finds no PostgreSQL fails and names the line to type: nothing
// is skipped.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// addressEnv names the server to use instead of a private one.
const addressEnv = "HONE_TEST_DATABASE_URL"

// template is the migrated database that others are copied from.
const template = "hone_template"

// Open is a store on a database of t's own, with the schema. Both go when t ends.
func Open(t testing.TB) *storage.Store {
	t.Helper()
	return OpenURL(t, URL(t))
}

// OpenURL is another store on a database that [URL] made.
func OpenURL(t testing.TB, address string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), address, storage.Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// URL is the address of a database of t's own, with the schema. It goes when t ends.
func URL(t testing.TB) string {
	t.Helper()
	server := start(t)
	if server.private == nil { // the template of another program could be there
		address := server.create(t, "")
		require.NoError(t, storage.Migrate(t.Context(), address))
		return address
	}
	return server.create(t, " TEMPLATE "+template+" STRATEGY wal_log") // copying files would need a checkpoint
}

// Empty is the address of a database of t's own, without the schema. It goes when t ends.
func Empty(t testing.TB) string {
	t.Helper()
	return start(t).create(t, "")
}

// Main runs the tests of a package and takes the private server down after them; call it from TestMain. Without it the server
// ends with the process, and its files are removed by a later one.
func Main(m *testing.M) {
	code := m.Run()
	if s := started.Load(); s != nil && s.private != nil {
		if err := s.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "storagetest:", err)
			code = 1
		}
	}
	os.Exit(code) //nolint:revive // deep-exit: the last thing that TestMain does
}

// server is what the tests of this process share.
type server struct {
	address *url.URL
	private *pglocal.Server // nil for a given address
	dir     string          // of the private server
	names   atomic.Int64
}

var (
	started atomic.Pointer[server] //nolint:gochecknoglobals // one server for a process; Main, which has no test, stops it
	startMu sync.Mutex             //nolint:gochecknoglobals // tests of the process start it once
)

// start returns the process's server and starts it first if need be.
func start(t testing.TB) *server {
	t.Helper()
	startMu.Lock()
	defer startMu.Unlock()
	if s := started.Load(); s != nil {
		return s
	}
	s := &server{}
	address := os.Getenv(addressEnv)
	if address == "" {
		require.NoError(t, s.startPrivate(t.Context()), "tests of storage need PostgreSQL: "+pglocal.Install)
		address = s.private.URL("postgres")
	}
	parsed, err := url.Parse(address)
	require.NoError(t, err, addressEnv)
	s.address = parsed
	started.Store(s)
	return s
}

// startPrivate runs a server in a directory that is named after the process, and makes the template in it.
func (s *server) startPrivate(ctx context.Context) error {
	base := filepath.Join(os.TempDir(), "hone-storagetest-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	if err := sweep(base); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(base, "server-*")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for the account that runs the server
		return err
	}
	s.dir = dir
	s.private, err = pglocal.Start(ctx, pglocal.Options{Dir: dir, Fast: true, InitCache: filepath.Join(base, "cache")})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.private.EnsureDatabase(ctx, template); err != nil {
		return errors.Join(err, s.remove()) //nolint:contextcheck // files go even when ctx has ended
	}
	if err := storage.Migrate(ctx, s.private.URL(template)); err != nil {
		return errors.Join(err, s.remove()) //nolint:contextcheck // files go even when ctx has ended
	}
	return nil
}

// remove stops the private server and removes its files.
func (s *server) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.private.Stop(ctx), os.RemoveAll(s.dir))
}

// sweep removes the directories of processes that have ended.
func sweep(base string) error {
	const young = time.Minute // its process may not have locked it yet
	locks, err := filepath.Glob(filepath.Join(base, "server-*"))
	if err != nil {
		return err
	}
	for _, dir := range locks {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < young || owned(dir) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// owned tells whether a process holds the directory's lock.
func owned(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "owner.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// create makes a database and removes it when t ends.
func (s *server) create(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("hone_test_%d_%d", os.Getpid(), s.names.Add(1))
	s.exec(t.Context(), t, "CREATE DATABASE "+name+how)
	t.Cleanup(func() { s.exec(context.WithoutCancel(t.Context()), t, "DROP DATABASE "+name+" WITH (FORCE)") })
	address := *s.address
	address.Path = "/" + name
	return address.String()
}

func (s *server) exec(ctx context.Context, t testing.TB, sql string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, s.address.String())
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}
