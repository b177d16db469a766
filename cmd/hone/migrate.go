package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

func (a *app) migrateCommand() *cobra.Command {
	var roles storage.Roles
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring a database of yours up to this program, and give lesser roles what they need of it",
		Long: `migrate brings the schema of the database at --database-url up to this program's, as the role that owns its tables. With
--worker-role and --reader-role it then gives these two what each needs and nothing else: workers read, add and move heads, and delete
nothing; readers read. hone worker and hone train then use an address with the role of the worker; hone gc, restore and migrate that of
the owner. Roles that don't exist are made without a right to log in: grant them to users, or let them log in with ALTER ROLE.

It can be run again, and has to be when hone is upgraded, before its workers are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrate(cmd.Context(), roles) },
	}
	cmd.Flags().StringVar(&roles.Worker, "worker-role", "", "role of workers")
	cmd.Flags().StringVar(&roles.Reader, "reader-role", "", "role of who only reads")
	cmd.MarkFlagsRequiredTogether("worker-role", "reader-role")
	return cmd
}

func (a *app) migrate(ctx context.Context, roles storage.Roles) error {
	address := a.databaseURL
	if address == "" {
		address = a.getenv("DATABASE_URL")
	}
	if address == "" {
		return fmt.Errorf("migrate needs --database-url or DATABASE_URL; a private server's database is migrated by hone itself: %w",
			hone.ErrInvalid)
	}
	if err := storage.Migrate(ctx, address); err != nil {
		return fmt.Errorf("database %s: %w", withoutPassword(address), err)
	}
	said := fmt.Sprintf("schema %d", storage.SchemaVersion())
	if roles != (storage.Roles{}) {
		if err := roles.Grant(ctx, address); err != nil {
			return fmt.Errorf("database %s: %w", withoutPassword(address), err)
		}
		said += fmt.Sprintf(", worker %s, reader %s", roles.Worker, roles.Reader)
	}
	if a.json {
		return a.writeJSON(struct {
			Schema int64  `json:"schema"`
			Worker string `json:"worker,omitempty"`
			Reader string `json:"reader,omitempty"`
		}{storage.SchemaVersion(), roles.Worker, roles.Reader})
	}
	fmt.Fprintf(a.stdout, "database %s: %s\n", withoutPassword(address), said)
	return nil
}
