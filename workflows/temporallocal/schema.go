package temporallocal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	v12 "go.temporal.io/server/schema/postgresql/v12"
	"go.temporal.io/server/tools/common/schema"
	"go.temporal.io/server/tools/sql"

	"github.com/hone-rl/hone"
)

const (
	// duplicateDatabase and uniqueViolation are the two SQLSTATEs that the loser of two simultaneous CREATE DATABASE may see.
	duplicateDatabase = "42P04"
	uniqueViolation   = "23505"
	// ownerKey is the advisory lock, within the main database, of the server that owns it.
	ownerKey = 0x686f6e65_00000001
	// ownerPatience is how long to wait for the lock of an owner that was killed: Postgres needs a moment to notice.
	ownerPatience = 5 * time.Second
)

// connect opens one connection to a database of the server that url names.
func connect(ctx context.Context, url, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database address: %w: %w", err, hone.ErrInvalid)
	}
	if database != "" {
		config.Database = database
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to database %s for temporal: %w: %w", config.Database, err, hone.ErrUnavailable)
	}
	return conn, nil
}

// createDatabases makes the two databases where they are missing.
func createDatabases(ctx context.Context, o Options) error {
	conn, err := connect(ctx, o.URL, "")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range []string{o.Database, o.visibility()} {
		var exists bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, name).Scan(&exists); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		if exists {
			continue
		}
		_, err := conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && (pgErr.Code == duplicateDatabase || pgErr.Code == uniqueViolation) {
			continue
		}
		if err != nil {
			return fmt.Errorf("create database %s for temporal: %w", name, err)
		}
	}
	return nil
}

// own takes the lock that makes this process the only server on the databases. It lasts as long as the connection.
func own(ctx context.Context, o Options) (*pgx.Conn, error) {
	conn, err := connect(ctx, o.URL, o.Database)
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(ownerPatience)
	defer patience.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var locked bool
		err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(ownerKey)).Scan(&locked)
		if err == nil && locked {
			return conn, nil
		}
		if err == nil {
			select {
			case <-again.C:
				continue
			case <-patience.C:
				err = fmt.Errorf("another temporal server owns it; stop that one or give its address: %w", hone.ErrConflict)
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("lock database %s: %w", o.Database, err)
	}
}

// part is one database and the schema it must have.
type part struct {
	database string
	// schema is a folder among the files that the server's module embeds.
	schema  string
	version string
}

// migrate brings both databases to the schema that this server was built for.
func migrate(ctx context.Context, o Options, pg postgres, log logger) error {
	for _, part := range []part{
		{o.Database, "postgresql/v12/temporal", v12.Version},
		{o.visibility(), "postgresql/v12/visibility", v12.VisibilityVersion},
	} {
		current, err := schemaVersion(ctx, o, part.database)
		if err != nil {
			return err
		}
		order := 1
		if current != "" {
			if order, err = compareVersions(part.version, current); err != nil {
				return fmt.Errorf("schema of database %s: %w", part.database, err)
			}
		}
		if order == 0 {
			continue
		}
		if order < 0 {
			return fmt.Errorf("database %s has temporal schema %s, newer than the %s of this program; use the program that wrote it: %w",
				part.database, current, part.version, hone.ErrConflict)
		}
		if err := part.apply(pg, current == "", log); err != nil {
			return fmt.Errorf("temporal schema %s of database %s: %w", part.version, part.database, err)
		}
	}
	return nil
}

// apply runs the server's own migration tasks, which return their errors and may be run again after being cut short.
func (p part) apply(pg postgres, fresh bool, log logger) error {
	conn, err := sql.NewConnection(pg.store(p.database), log)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if fresh {
		if err := schema.NewSetupSchemaTask(conn, &schema.SetupConfig{InitialVersion: "0.0"}, log).Run(); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
	}
	update := &schema.UpdateConfig{DBName: p.database, SchemaName: p.schema, TargetVersion: p.version}
	if err := schema.NewUpdateSchemaTask(conn, update, log).Run(); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// schemaVersion reads a database's schema version, "" before the first set-up.
func schemaVersion(ctx context.Context, o Options, database string) (string, error) {
	conn, err := connect(ctx, o.URL, database)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('schema_version') IS NOT NULL`).Scan(&exists); err != nil || !exists {
		return "", err
	}
	var version string
	err = conn.QueryRow(ctx, `SELECT curr_version FROM schema_version WHERE version_partition = 0 AND db_name = $1`, database).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read temporal schema version of database %s: %w", database, err)
	}
	return version, nil
}

func compareVersions(a, b string) (int, error) {
	var parts [2][2]int
	for i, version := range []string{a, b} {
		major, minor, _ := strings.Cut(version, ".")
		for j, text := range []string{major, minor} {
			n, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("version %q: want major.minor: %w", version, hone.ErrCorrupt)
			}
			parts[i][j] = n
		}
	}
	for j := range parts[0] {
		if parts[0][j] != parts[1][j] {
			return parts[0][j] - parts[1][j], nil
		}
	}
	return 0, nil
}
