package storage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
)

// Import is a record that was exported.
type Import struct {
	// Schema is the version of the schema that it was exported from, Tables what [Store.Export] returned.
	Schema int64
	Tables []Table
	// Open reads a table's rows.
	Open func(name string) (io.ReadCloser, error)
}

// Import fills the database at url, which must be empty, in one transaction, and brings its schema up to this program's.
// [hone.ErrConflict]: the database has runs already, or the record comes from a newer hone; [hone.ErrCorrupt]: another number of rows than
// were exported.
func (in Import) Import(ctx context.Context, url string) error {
	if known := SchemaVersion(); in.Schema > known {
		return fmt.Errorf("the record has schema version %d, from a newer hone than this one, which knows %d: %w",
			in.Schema, known, hone.ErrConflict)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database url: %w: %w", hone.ErrInvalid, err)
	}
	config.RuntimeParams["application_name"] = "hone restore"
	config.RuntimeParams["timezone"] = "UTC"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fail(ctx, err, "import record")
	}
	defer conn.Close(context.WithoutCancel(ctx))
	have, err := schemaVersion(ctx, conn)
	if err == nil && have > 0 {
		var runs int
		if err = conn.QueryRow(ctx, "SELECT count(*) FROM runs").Scan(&runs); err == nil && (runs > 0 || have != in.Schema) {
			err = fmt.Errorf("it has schema version %d and %d runs, want an empty one; create another: %w", have, runs, hone.ErrConflict)
		}
	}
	if err != nil {
		return fail(ctx, err, "import into database %q", config.Database)
	}
	if err := migrate(ctx, url, in.Schema); err != nil {
		return err
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return in.fill(ctx, tx) }); err != nil {
		return fail(ctx, err, "import into database %q", config.Database)
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return fail(ctx, err, "analyse database %s", config.Database)
	}
	return Migrate(ctx, url)
}

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
	return nil
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
