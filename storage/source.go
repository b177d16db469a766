package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Column is a column of a table that people keep, in the record's database or in another one.
type Column struct {
	// Table is its name, or "schema.name"; without a schema it is looked for where the connection's search_path says. Names are as the
	// database has them, without quotes, and have no dot.
	Table string
	// Name is the column's.
	Name string
}

// Validate reports names that are none, with [hone.ErrInvalid].
func (c Column) Validate() error {
	for _, part := range append(strings.Split(c.Table, "."), c.Name) {
		if part == "" || strings.ContainsAny(part, ".\x00") || strings.Count(c.Table, ".") > 1 {
			return fmt.Errorf("column %q of table %q: want a column, and a table as name or schema.name: %w", c.Name, c.Table, hone.ErrInvalid)
		}
	}
	return nil
}

// Texts are the values of a column, sorted by their bytes, and the number of rows that have none. A table or a column that is not there,
// or that this role may not read, is [hone.ErrInvalid].
func (s *Store) Texts(ctx context.Context, c Column) (texts []string, empty int, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, 0, fail(ctx, err, "read %s of table %s", c.Name, c.Table)
	}
	defer conn.Release()
	return c.texts(ctx, conn.Conn())
}

// TextsOf are those of a column in the database at url, which is only read.
func TextsOf(ctx context.Context, url string, c Column) (texts []string, empty int, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, 0, fmt.Errorf("address of the database with table %s: %w: %w", c.Table, hone.ErrInvalid, err)
	}
	config.RuntimeParams["application_name"] = "hone"
	config.RuntimeParams["statement_timeout"] = "5min"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, 0, fail(ctx, err, "read %s of table %s", c.Name, c.Table)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return c.texts(ctx, conn)
}

func (c Column) texts(ctx context.Context, conn *pgx.Conn) (texts []string, empty int, err error) {
	if err := c.Validate(); err != nil {
		return nil, 0, err
	}
	column, table := pgx.Identifier{c.Name}.Sanitize(), pgx.Identifier(strings.Split(c.Table, ".")).Sanitize()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+column+"::text COLLATE \"C\" FROM "+table+" ORDER BY 1")
		if err != nil {
			return err
		}
		var text *string
		_, err = pgx.ForEachRow(rows, []any{&text}, func() error {
			if text == nil {
				empty++
				return nil
			}
			texts = append(texts, *text)
			return nil
		})
		return err
	})
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(server.Code, "42") { // a name, or a privilege
		err = fmt.Errorf("%w: %w", hone.ErrInvalid, err)
	}
	return texts, empty, fail(ctx, err, "read column %s of table %s", c.Name, c.Table)
}
