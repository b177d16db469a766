package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/jackc/pgx/v5"
)

// Table is a table of the record as a whole.
type Table struct {
	Name string `json:"name"`
	// Columns are those whose values were written, in order.
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
}

// Export is what to do with the record as it was at one instant.
type Export struct {
	// Table opens where a table's rows go, in PostgreSQL's binary form of COPY. They come in an order in which they can be read back: what
	// a row refers to comes before it.
	Table func(name string) (io.WriteCloser, error)
	// Content is called after the tables with the digests of all content that the record of that instant needs. No sweep deletes any
	// of it meanwhile.
	Content func(ctx context.Context, needed []blob.Digest) error
}

// Export reads the whole record beside whatever is being trained, and returns the tables in the order in which they were written.
func (s *Store) Export(ctx context.Context, e Export) (tables []Table, err error) {
	release, err := s.holdBlobs(ctx, false)
	if err != nil {
		return nil, err
	}
	defer release()
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) (err error) {
		if err := patient(ctx, tx); err != nil {
			return err
		}
		needed, err := readDigests(ctx, tx, reachable)
		if err != nil {
			return err
		}
		if tables, err = readTables(ctx, tx); err != nil {
			return err
		}
		for i := range tables {
			if err := tables[i].export(ctx, tx, e.Table); err != nil {
				return fmt.Errorf("table %s: %w", tables[i].Name, err)
			}
		}
		return e.Content(ctx, needed)
	})
	return tables, fail(ctx, err, "export the record")
}

// patient lets a transaction take its time.
func patient(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
	return err
}

func (t *Table) export(ctx context.Context, tx pgx.Tx, open func(string) (io.WriteCloser, error)) (err error) {
	w, err := open(t.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	// A query rather than the table: it also reads the partitions.
	tag, err := tx.Conn().PgConn().CopyTo(ctx, w, "COPY (SELECT "+t.list()+" FROM "+t.quoted()+") TO STDOUT (FORMAT binary)")
	t.Rows = tag.RowsAffected()
	return err
}

func (t *Table) quoted() string { return pgx.Identifier{t.Name}.Sanitize() }

// list is the columns with commas.
func (t *Table) list() string {
	quoted := make([]string, len(t.Columns))
	for i, name := range t.Columns {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}

// readTables are all tables of the schema but the migrations' own, each after those that it refers to. Partitioned ones refer to runs
// without a foreign key: a run's partitions come with it.
func readTables(ctx context.Context, tx pgx.Tx) ([]Table, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname,
			(SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
				WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
			(SELECT coalesce(array_agg(DISTINCT p.relname), '{}') FROM pg_constraint f JOIN pg_class p ON p.oid = f.confrelid
				WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid)
			|| CASE c.relkind WHEN 'p' THEN ARRAY['runs'::name] ELSE '{}' END
		FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND c.relname <> 'goose_db_version' ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	var waiting []referring
	var one referring
	_, err = pgx.ForEachRow(rows, []any{&one.Name, &one.Columns, &one.to}, func() error {
		waiting = append(waiting, referring{Table{Name: one.Name, Columns: slices.Clone(one.Columns)}, slices.Clone(one.to)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inOrder(waiting)
}

// referring is a table and those that it refers to.
type referring struct {
	Table

	to []string
}

// inOrder puts tables behind those that they refer to.
func inOrder(waiting []referring) (out []Table, err error) {
	for len(waiting) > 0 {
		ready := slices.IndexFunc(waiting, func(t referring) bool {
			return !slices.ContainsFunc(waiting, func(other referring) bool { return slices.Contains(t.to, other.Name) })
		})
		if ready < 0 {
			return nil, fmt.Errorf("tables from %s on refer to each other in a ring: %w", waiting[0].Name, hone.ErrInvalid)
		}
		out = append(out, waiting[ready].Table)
		waiting = slices.Delete(waiting, ready, ready+1)
	}
	return out, nil
}
