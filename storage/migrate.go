package storage

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateLock keeps migrating processes apart; it is a lock of this database alone.
const migrateLock = 0x686f6e65 // "hone"

// Migrate brings the schema of the database at url up to this program's. Processes that do so at once wait for each other. A
// schema newer than this program is [hone.ErrConflict], and nothing is touched.
func Migrate(ctx context.Context, url string) error { return migrate(ctx, url, SchemaVersion()) }

// migrate brings the schema up to a version that this program knows.
func migrate(ctx context.Context, url string, want int64) (err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database url: %w: %w", hone.ErrInvalid, err)
	}
	config.RuntimeParams["application_name"] = "hone migrate"
	config.RuntimeParams["lock_timeout"] = "60s"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fail(ctx, err, "migrate database")
	}
	defer conn.Close(context.WithoutCancel(ctx)) // which unlocks
	// goose's own locks poll, and its check before them is a race on an empty database; this one blocks and covers both.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return fail(ctx, err, "lock database for migration")
	}
	have, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if have >= want {
		return checkVersion(have, want)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close() //nolint:errcheck // whether the schema is there is known by then
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	for ; have < want; have++ { // each file is a transaction
		err := fault.Around(ctx, fault.Migration, func() error {
			if _, err := provider.UpByOne(ctx); err != nil {
				return fmt.Errorf("next migration: %w", err)
			}
			return nil
		})
		if err != nil {
			return fail(ctx, err, "migrate database from version %d to %d", have, want)
		}
	}
	return nil
}

// SchemaVersion is the version of the schema that this program knows, from 1.
func SchemaVersion() int64 {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic("the pattern of embedded migrations is malformed")
	}
	return int64(len(files)) // they are numbered from 1 without gaps; a test holds that
}

// CheckVersion makes sure that the schema of the database is the one that this program knows.
func (s *Store) CheckVersion(ctx context.Context) error {
	have, err := schemaVersion(ctx, s.pool)
	if err != nil {
		return err
	}
	return checkVersion(have, SchemaVersion())
}

func checkVersion(have, want int64) error {
	switch {
	case have > want:
		return fmt.Errorf("database has schema version %d, from a newer hone than this one, which knows %d; use that hone or another "+
			"database (nothing was changed): %w", have, want, hone.ErrConflict)
	case have < want:
		return fmt.Errorf("database has schema version %d, want %d; it has to be migrated first (hone migrate): %w",
			have, want, hone.ErrConflict)
	}
	return nil
}

// rowQuerier is a connection or a pool.
type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is the version that the database has, 0 if it was never migrated. It changes nothing.
func schemaVersion(ctx context.Context, q rowQuerier) (version int64, err error) {
	var exists bool
	if err := q.QueryRow(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&exists); err != nil {
		return 0, fail(ctx, err, "read schema version")
	}
	if !exists {
		return 0, nil
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	return version, fail(ctx, err, "read schema version")
}
