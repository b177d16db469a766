package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/blob/bucket"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/workflows"
	"github.com/hone-rl/hone/workflows/temporallocal"
)

// database is the name of hone's own database on a private Postgres.
const database = "hone"

// servers are Postgres, and Temporal where a command needs it: the user's by address, those of another hone process on the same
// data directory, or private ones that end with this process.
type servers struct {
	app  *app
	data data
	log  *slog.Logger
	file io.Closer

	own      *ownership
	joined   *serverRecord
	postgres *pglocal.Server
	temporal *temporallocal.Server

	databaseURL     string
	temporalAddress string
	temporalSpace   string
	// profile is how to reach a Temporal of the user's.
	profile envconfig.ClientConfigProfile
}

// openServers finds or starts Postgres for a command of the given role. Close must be called, also after an interruption.
func (a *app) openServers(ctx context.Context, as role) (_ *servers, err error) {
	d, err := a.openData()
	if err != nil {
		return nil, err
	}
	s := &servers{app: a, data: d, databaseURL: a.databaseURL}
	if s.profile, err = a.temporalProfile(); err != nil {
		return nil, err
	}
	s.temporalAddress, s.temporalSpace = s.profile.Address, s.profile.Namespace
	if s.databaseURL == "" {
		s.databaseURL = a.getenv("DATABASE_URL")
	}
	if as != roleLook {
		if err := d.requireSpace(); err != nil {
			return nil, err
		}
	}
	if s.log, s.file, err = a.openLog(d); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(ctx))
		}
	}()
	// With addresses for all that it needs, a command has no use for the directory's servers.
	if s.databaseURL != "" && (s.temporalAddress != "" || as == roleLook) {
		if r, ok := d.served(); ok && s.temporalAddress == "" && r.DatabaseURL == s.databaseURL {
			s.joined = &r
			err = s.join()
		}
		return s, err
	}
	if as == roleLook && !d.used() {
		return nil, fmt.Errorf("%w in %s yet; start one with: %s: %w",
			errNoRuns, d.path, a.propose("train", "--preset", "demo"), hone.ErrNotFound)
	}
	if as == roleWork {
		r, ok := d.served()
		if !ok {
			return s, fmt.Errorf("nothing serves %s; give --database-url and --temporal-address, or start: %s: %w",
				d.path, a.propose("server"), hone.ErrUnavailable)
		}
		s.joined = &r
		err := s.join()
		return s, err
	}
	if s.own, s.joined, err = d.claim(ctx, as); err != nil {
		return nil, err
	}
	switch {
	case s.joined != nil:
		err = s.join()
	case s.databaseURL == "":
		err = s.startPostgres(ctx)
	}
	return s, err
}

// errNoRuns is a data directory in which nothing was ever trained.
var errNoRuns = errors.New("no runs")

// used tells whether there ever was a server in the directory.
func (d data) used() bool {
	for _, sign := range []string{d.serverFile(), filepath.Join(d.postgres(), "data")} {
		if _, err := os.Stat(sign); err == nil {
			return true
		}
	}
	return false
}

// join takes the addresses of the directory's owner.
func (s *servers) join() error {
	r := s.joined
	if s.databaseURL != "" && s.databaseURL != r.DatabaseURL {
		return fmt.Errorf("process %d serves %s with another database than the one given; leave --database-url and DATABASE_URL away, "+
			"or choose another data directory: %w", r.PID, s.data.path, hone.ErrConflict)
	}
	s.databaseURL = r.DatabaseURL
	if s.temporalAddress == "" {
		s.temporalAddress, s.temporalSpace = r.TemporalAddress, r.TemporalNamespace
	}
	return nil
}

func (s *servers) startPostgres(ctx context.Context) error {
	var err error
	s.postgres, err = pglocal.Start(ctx, pglocal.Options{Dir: s.data.postgres(), BinDir: s.app.postgresBinaries, Logger: s.log})
	if err != nil {
		return fmt.Errorf("private Postgres: %w", err)
	}
	s.databaseURL = s.postgres.URL(database)
	if err := s.postgres.EnsureDatabase(ctx, database); err != nil {
		return fmt.Errorf("private Postgres: %w", err)
	}
	return nil
}

// startTemporal starts a private Temporal unless there is an address.
func (s *servers) startTemporal(ctx context.Context, port int) error {
	if s.temporalAddress != "" {
		return nil
	}
	at := s.databaseURL
	if s.postgres != nil {
		at = s.postgres.URL("postgres")
	}
	var err error
	s.temporal, err = temporallocal.Start(ctx, temporallocal.Options{
		URL: at, Namespace: s.temporalSpace, Port: port, Logger: s.log, SearchAttributes: workflows.SearchAttributes(),
	})
	if err != nil {
		return fmt.Errorf("private Temporal: %w", err)
	}
	s.temporalAddress = s.temporal.Address()
	return nil
}

// publish lets other processes find the servers, if they are this one's.
func (s *servers) publish(as role, run string) error {
	if s.own == nil {
		return nil
	}
	return s.own.publish(serverRecord{
		PID: os.Getpid(), Role: as, Run: run, Version: thisBuild().Version, Started: time.Now().UTC(),
		DatabaseURL: s.databaseURL, TemporalAddress: s.temporalAddress, TemporalNamespace: s.temporalSpace, BlobURL: s.blobURL(),
	})
}

// lost is closed when the private Postgres has ended; nil, which never is, where there is none.
func (s *servers) lost() <-chan struct{} {
	if s.postgres == nil {
		return nil
	}
	return s.postgres.Done()
}

// access is what a command does with the record.
type access int

const (
	accessRead access = iota
	accessWrite
	// accessTrain is to write, and to bring an older schema up to date.
	accessTrain
)

// store opens the record. Who has the database to itself brings an older schema up to date too.
func (s *servers) store(ctx context.Context, to access) (*storage.Store, error) {
	address := s.databaseURL
	if to == accessRead && s.postgres == nil {
		var err error
		if address, err = readOnly(address); err != nil {
			return nil, err
		}
	}
	store, err := storage.Open(ctx, address, storage.Options{MaxConns: 8, Migrate: to == accessTrain || s.postgres != nil})
	if err != nil && s.postgres == nil && s.joined == nil {
		return nil, fmt.Errorf("the Postgres of --database-url or DATABASE_URL: %w", err)
	}
	return store, err
}

// readOnly is the address under which the database refuses to be changed.
func readOnly(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("database address: %w", hone.ErrInvalid) // without the address, which may hold a password
	}
	q := u.Query()
	q.Set("default_transaction_read_only", "on")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// blobURL is where weights are: as the flags or the environment say, or as the process does whose servers these are, or "" for the data
// directory's own place.
func (s *servers) blobURL() string {
	switch {
	case s.app.blobURL != "":
		return s.app.blobURL
	case s.app.getenv("HONE_BLOB_URL") != "":
		return s.app.getenv("HONE_BLOB_URL")
	case s.joined != nil:
		return s.joined.BlobURL
	default:
		return ""
	}
}

// openBlobs is the store of weights.
func (s *servers) openBlobs(ctx context.Context) (blob.Store, error) {
	address := s.blobURL()
	if address == "" {
		return blob.OpenDir(s.data.blobs())
	}
	return bucket.Open(ctx, address, bucket.Cache{Path: s.data.cache(), Bytes: s.app.cacheBytes})
}

// weightsAt is where content of that digest is, for a person.
func (s *servers) weightsAt(digest string) string {
	place := s.blobURL()
	if path, ok := strings.CutPrefix(place, "file://"); ok || place == "" {
		return filepath.Join(cmp.Or(path, s.data.blobs()), "sha256", digest[:2], digest)
	}
	place, _, _ = strings.Cut(place, "?")
	return place + " sha256/" + digest[:2] + "/" + digest
}

// stopTime bounds the shutdown of the private Postgres, which otherwise recovers at its next start.
const stopTime = 3 * time.Second

// Close stops what was started, in the opposite order, and gives the directory up. That ctx has ended doesn't cut it off.
func (s *servers) Close(ctx context.Context) error {
	var faults []error
	if s.temporal != nil {
		faults = append(faults, s.temporal.Stop()) //nolint:contextcheck // it takes about a second, and no context
	}
	if s.postgres != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if err := s.postgres.Stop(ctx); errors.Is(err, context.DeadlineExceeded) {
			s.log.WarnContext(ctx, "private Postgres was stopped at once: the machine is busy, and it recovers at its next start", "error", err)
		} else {
			faults = append(faults, err)
		}
	}
	s.own.release()
	return errors.Join(append(faults, s.file.Close())...)
}

// withoutPassword is an address that may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if _, ok := u.User.Password(); ok {
		u.User = url.UserPassword(u.User.Username(), "...")
	}
	return u.String()
}
