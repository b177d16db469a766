package storage

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
)

//go:embed roles.sql
var rolesSQL string

// Roles are the lesser roles of a database, beside the owner of its tables.
type Roles struct {
	// Worker may do what a worker does: read, add, and move heads. Reader may read.
	Worker, Reader string
}

// Grant gives the roles what each needs of the database at url and nothing else, as its owner; the schema must be this program's. Roles
// that don't exist are made, without a right to log in, if the owner may do so. It can be repeated, and has to be after a migration.
func (r Roles) Grant(ctx context.Context, url string) error {
	if r.Worker == "" || r.Reader == "" || r.Worker == r.Reader {
		return fmt.Errorf("roles %q and %q: want two different names: %w", r.Worker, r.Reader, hone.ErrInvalid)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database url: %w: %w", hone.ErrInvalid, err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fail(ctx, err, "grant roles")
	}
	defer conn.Close(context.WithoutCancel(ctx))
	have, err := schemaVersion(ctx, conn)
	if err == nil {
		err = checkVersion(have, SchemaVersion())
	}
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return r.grant(ctx, tx) })
	return fail(ctx, err, "grant roles %s and %s", r.Worker, r.Reader)
}

func (r Roles) grant(ctx context.Context, tx pgx.Tx) error {
	var schema, owner string
	if err := tx.QueryRow(ctx, "SELECT current_schema(), current_user").Scan(&schema, &owner); err != nil {
		return err
	}
	for _, name := range []string{r.Worker, r.Reader} {
		if name == owner {
			return fmt.Errorf("role %s owns the tables, and can't have less than all: %w", name, hone.ErrInvalid)
		}
		var there bool
		err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name).Scan(&there)
		if err == nil && !there {
			_, err = tx.Exec(ctx, "CREATE ROLE "+pgx.Identifier{name}.Sanitize()+" NOLOGIN")
		}
		if err != nil {
			return fmt.Errorf("role %s: %w", name, err)
		}
	}
	quote := func(name string) string { return pgx.Identifier{name}.Sanitize() }
	_, err := tx.Exec(ctx, strings.NewReplacer(
		"{{schema}}", quote(schema), "{{worker}}", quote(r.Worker), "{{reader}}", quote(r.Reader),
	).Replace(rolesSQL))
	return err
}
