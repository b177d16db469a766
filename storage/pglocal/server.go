package pglocal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	superuser = "hone"
	port      = 5432 // names the socket file; no TCP listener has it
)

// Options say which server to run.
type Options struct {
	// Dir is the directory that holds everything of this server; it is created. Required.
	Dir string
	// BinDir holds the binaries postgres and initdb. Empty: they are searched for, see [Find].
	BinDir string
	// CacheDir is where binaries fetched as a last resort are kept. Empty: [DefaultCacheDir].
	CacheDir string
	// Fast gives up durability for speed: a crash of the machine may lose the database. For tests.
	Fast bool
	// InitCache names a directory that keeps one initialised cluster; a new data directory is then a copy of it, which takes a
	// tenth of the time. Empty: always initialise. For tests.
	InitCache string
	// Settings are added to hone's own and win over them, each as "name=value". For tests.
	Settings []string
	// Logger gets what a person waits for, such as a download. Nil discards.
	Logger *slog.Logger

	places []string // where binaries are looked for; nil: the usual places
}

// Server is a running PostgreSQL server. Its methods may be called from several goroutines.
type Server struct {
	binaries Binaries
	layout   layout
	lock     *ownerLock
	process  *process
}

// Start runs the server of o.Dir and returns when it accepts connections, initialising the cluster first if there is none.
//
// The server runs until [Server.Stop], or until the calling process ends in any way; cancelling ctx afterwards doesn't stop it.
// Errors: [hone.ErrConflict] if another process owns o.Dir or another major version of PostgreSQL wrote it,
// [hone.ErrNotFound] if there are no binaries, [hone.ErrUnavailable] if the disk is full or the server did not come up,
// [hone.ErrInvalid] if o.Dir can't be used.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheDir == "" {
		o.CacheDir = DefaultCacheDir()
	}
	if o.places == nil {
		o.places = places(o.CacheDir)
	}
	l, err := newLayout(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := acquireOwnerLock(l.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()
	s := &Server{layout: l, lock: lock}
	written, err := clusterVersion(l.data)
	if err != nil {
		return nil, err
	}
	if s.binaries, err = find(ctx, o, written); err != nil {
		return nil, err
	}
	who, err := chooseAccount(l)
	if err != nil {
		return nil, err
	}
	if err := takeOver(ctx, l.data); err != nil {
		return nil, err
	}
	if written == 0 {
		c := cluster{binaries: s.binaries, layout: l, account: who, options: o}
		if err := c.initialise(ctx); err != nil {
			return nil, err
		}
	}
	if s.layout.socket, err = socketDir(l.dir, who); err != nil {
		return nil, err
	}
	s.process, err = launch(ctx, s.binaries, s.layout, who, o)
	return s, err
}

// URL is the address of a database of this server, for pgx.
func (s *Server) URL(database string) string {
	q := url.Values{"host": {s.Host()}, "port": {strconv.Itoa(s.Port())}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(s.User()), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// Host is the directory of the server's Unix socket: an absolute path.
func (s *Server) Host() string { return s.layout.socket }

// Port is the number in the socket's file name.
func (s *Server) Port() int { return port }

// User is the name of the superuser; it has no password, since only those who can enter [Server.Host] can connect.
func (s *Server) User() string { return superuser }

// Version is the version of the server's binaries, such as "15.18".
func (s *Server) Version() string { return s.binaries.Version }

// PID is the process id of the server.
func (s *Server) PID() int { return s.process.pid }

// LogFile is where the server writes what it has to say.
func (s *Server) LogFile() string { return s.layout.logFile() }

// Done is closed when the server's process has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.process.done }

// EnsureDatabase creates the named database unless it exists.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "42P04" || pgErr.Code == "23505") {
		return nil // another connection created it meanwhile
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Stop shuts the server down: open transactions are rolled back, everything committed is on disk. If ctx ends first, the server
// is ended at once and recovers from its log at the next start. Stopping again does nothing.
func (s *Server) Stop(ctx context.Context) error {
	defer s.lock.release()
	err := s.process.stop(ctx)
	if err != nil {
		return fmt.Errorf("stop postgres in %s: %w", s.layout.dir, err)
	}
	return nil
}

// layout is where things are.
type layout struct {
	dir, data, initTmp, socket string
}

func (l layout) logFile() string { return filepath.Join(l.dir, "log", "postgres.log") }

// newLayout creates the directory and its log folder, and resolves symbolic links so that one directory has one name.
func newLayout(dir string) (layout, error) {
	if dir == "" {
		return layout{}, fmt.Errorf("postgres directory is empty: %w", hone.ErrInvalid)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return layout{}, fmt.Errorf("postgres directory: %w", err)
	}
	// The account that runs the server must be able to pass through; the data below is closed to all others.
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o755); err != nil {
		return layout{}, dirError(dir, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return layout{}, dirError(dir, err)
	}
	return layout{dir: dir, data: filepath.Join(dir, "data"), initTmp: filepath.Join(dir, "init.tmp")}, nil
}

// dirError says what is wrong with the directory and wraps the sentinel that fits.
func dirError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("postgres directory %s: the disk is full; free some space or choose another directory: %w: %w",
			dir, hone.ErrUnavailable, err)
	}
	return fmt.Errorf("postgres directory %s can't be used; choose one that this user can write to: %w: %w",
		dir, hone.ErrInvalid, err)
}

// diskFull tells whether PostgreSQL's own words mean that.
func diskFull(said string) bool {
	return strings.Contains(said, "No space left on device") || strings.Contains(said, "Check free disk space")
}
