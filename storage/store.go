package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say how to use a database.
type Options struct {
	// MaxConns bounds the connections, >= 1; 0 means 4.
	MaxConns int
	// Migrate brings the schema up to this program's before use. Otherwise an older schema is an error.
	Migrate bool
}

// Store reads and writes the record. Its methods may be called from many goroutines and many processes at once.
type Store struct {
	pool *pgxpool.Pool
}

// Open connects to the database at url and makes sure that its schema is the one this program knows: a newer one is
// [hone.ErrConflict] and nothing is touched. A database that can't be reached is [hone.ErrUnavailable].
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.MaxConns < 0 {
		return nil, fmt.Errorf("storage options: max_conns %d, want 1 or more: %w", o.MaxConns, hone.ErrInvalid)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w: %w", hone.ErrInvalid, err) // pgx keeps the password out of its message
	}
	if o.Migrate {
		if err := Migrate(ctx, url); err != nil {
			return nil, err
		}
	}
	config.MaxConns = 4
	if o.MaxConns > 0 {
		config.MaxConns = int32(min(o.MaxConns, 1000))
	}
	config.MaxConnIdleTime = 15 * time.Minute
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.PingTimeout = 2 * time.Second
	parameters := config.ConnConfig.RuntimeParams
	parameters["application_name"] = "hone"
	parameters["timezone"] = "UTC"
	parameters["lock_timeout"] = "60s"
	parameters["statement_timeout"] = "5min"
	parameters["idle_in_transaction_session_timeout"] = "5min"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fail(ctx, err, "open database")
	}
	s := &Store{pool: pool}
	if err := s.CheckVersion(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close waits for calls in progress and disconnects.
func (s *Store) Close() { s.pool.Close() }

// inTx makes a move: it runs f in a transaction, which is committed if f returns nil.
func (s *Store) inTx(ctx context.Context, move fault.Move, f func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return fault.Hit(ctx, move.Before())
	})
	if err != nil {
		return err
	}
	return fault.Hit(ctx, move.After())
}

// exec makes a move of one statement.
func (s *Store) exec(ctx context.Context, move fault.Move, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = fault.Around(ctx, move, func() error {
		tag, err = s.pool.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// runKey is a run's id as the database has it.
func runKey(run hone.RunID) (pgtype.UUID, error) {
	id, err := uuid.Parse(string(run))
	if err != nil {
		return pgtype.UUID{}, fmt.Errorf("run id %q is not a UUID: %w", run, hone.ErrInvalid)
	}
	return pgtype.UUID{Bytes: id, Valid: true}, nil
}
