package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Import is a record that was exported.
type Import struct {
	// Schema is the version of the schema that it was exported from, Tables what [Store.Export] returned.
	Schema int64
	Tables []Table
	// Open reads a table's rows.
	Open func(name string) (io.ReadCloser, error)
	// Mark names the record, such as by a digest: letters and digits. A database is marked with it in the transaction that fills it, so that
	// an import which is repeated finds that it was made.
	Mark string
}

// Check says whether the database at url can be filled: it is empty, or holds this very record and no run of it has gone on. Otherwise,
// or where the record comes from a newer hone, it is [hone.ErrConflict].
func (in Import) Check(ctx context.Context, url string) error {
	conn, err := in.connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = in.made(ctx, conn)
	return err
}

// Import fills the database at url, which must be empty, in one transaction, and brings its schema up to this program's. One that was
// filled already stays as it is, as long as nothing was added. See [Import.Check] for others; [hone.ErrCorrupt]: another number of rows
// than were exported.
func (in Import) Import(ctx context.Context, url string) error {
	conn, err := in.connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	made, err := in.made(ctx, conn)
	if err != nil {
		return err
	}
	if !made {
		if err := migrate(ctx, url, in.Schema); err != nil {
			return err
		}
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if err := in.fill(ctx, tx); err != nil {
				return err
			}
			return fault.Hit(ctx, fault.Restore.Before())
		})
		if err == nil {
			err = fault.Hit(ctx, fault.Restore.After())
		}
		if err != nil {
			return fail(ctx, err, "import into database %q", conn.Config().Database)
		}
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return fail(ctx, err, "analyse database %s", conn.Config().Database)
	}
	return Migrate(ctx, url)
}

// connect opens a connection of its own: the database may have no schema yet.
func (in Import) connect(ctx context.Context, url string) (*pgx.Conn, error) {
	if known := SchemaVersion(); in.Schema > known {
		return nil, fmt.Errorf("the record has schema version %d, from a newer hone than this one, which knows %d: %w",
			in.Schema, known, hone.ErrConflict)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w: %w", hone.ErrInvalid, err)
	}
	config.RuntimeParams["application_name"] = "hone restore"
	config.RuntimeParams["timezone"] = "UTC"
	conn, err := pgx.ConnectConfig(ctx, config)
	return conn, fail(ctx, err, "import record")
}

// made tells whether the database holds this record and nothing more. One that is not empty otherwise is [hone.ErrConflict].
func (in Import) made(ctx context.Context, conn *pgx.Conn) (made bool, err error) {
	have, err := schemaVersion(ctx, conn)
	if err != nil || have == 0 {
		return false, err
	}
	var runs int
	var mark string
	err = conn.QueryRow(ctx, "SELECT count(*), coalesce(obj_description('runs'::regclass, 'pg_class'), '') FROM runs").Scan(&runs, &mark)
	if err == nil && in.Mark != "" && mark == in.mark() {
		made, err = in.unchanged(ctx, conn)
	}
	if err == nil && !made && (runs > 0 || have != in.Schema) {
		err = fmt.Errorf("it has schema version %d and %d runs, want an empty one; create another: %w", have, runs, hone.ErrConflict)
	}
	return made, fail(ctx, err, "import into database %q", conn.Config().Database)
}

// unchanged tells whether no run has gone on since: that adds to one of these tables.
func (in Import) unchanged(ctx context.Context, conn *pgx.Conn) (bool, error) {
	for _, t := range in.Tables {
		if !slices.Contains([]string{"runs", "policy_versions", "iterations", "ingest_batches", "changes", "publications"}, t.Name) {
			continue
		}
		var rows int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+t.quoted()).Scan(&rows); err != nil || rows != t.Rows {
			return false, err
		}
	}
	return true, nil
}

// mark is the comment that a filled database has.
func (in Import) mark() string { return "restored: " + in.Mark }

func (in Import) fill(ctx context.Context, tx pgx.Tx) error {
	if err := patient(ctx, tx); err != nil {
		return err
	}
	for i := range in.Tables {
		t := &in.Tables[i]
		if err := in.table(ctx, tx, t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	// COMMENT takes no parameters.
	_, err := tx.Exec(ctx, "COMMENT ON TABLE runs IS '"+strings.ReplaceAll(in.mark(), "'", "''")+"'")
	return err
}

func (in Import) table(ctx context.Context, tx pgx.Tx, t *Table) (err error) {
	r, err := in.Open(t.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, r, "COPY "+t.quoted()+" ("+t.list()+") FROM STDIN (FORMAT binary)")
	if err == nil && tag.RowsAffected() != t.Rows {
		err = fmt.Errorf("%d rows, want %d: %w", tag.RowsAffected(), t.Rows, hone.ErrCorrupt)
	}
	if err != nil || t.Name != "runs" {
		return err
	}
	_, err = tx.Exec(ctx, "SELECT open_run(run_id) FROM runs") // for the rows of the partitioned tables
	return err
}
