package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/backup"
)

func (d data) runs() string { return filepath.Join(d.path, "runs") }

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the record and the weights of all runs to a folder, while they go on",
		Long: `backup writes all of the database as it is at one instant, and the weights that it refers to, to a subfolder of DIR named after the
time. Weights lie in DIR once for all backups, so that a further one copies what is new. It needs no program of PostgreSQL's, and may
run beside workers.

The form is hone's own and is read by hone restore. Where a database is large, pg_dump and a copy of the weights' store, made after it,
serve as well: the store may hold more than the database refers to, and never less, as long as no hone gc runs between the two.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessWrite, func(ctx context.Context, s *servers, store *storage.Store) error {
				blobs, err := s.openBlobs(ctx)
				if err != nil {
					return err
				}
				made, err := backup.Write(ctx, backup.Source{
					Store: store, Blobs: blobs, Files: s.data.runs(), Program: thisBuild().Version, Now: time.Now(),
				}, args[0])
				if err != nil {
					return err
				}
				return a.writeBackup("wrote", args[0], made)
			})
		},
	}
}

func (a *app) restoreCommand() *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Read a backup back into an empty data directory, or an empty database",
		Long: `restore reads the newest backup in DIR back, or the one named by --backup, checks every digest, and brings the schema up to this
program's. The database must be empty: that of a new --data-dir, or one of yours with --database-url. Nothing is changed where anything
is damaged.

Runs then go on from where the backup was taken, by the same commands, to the same bytes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.restore(cmd.Context(), args[0], name) },
	}
	cmd.Flags().StringVar(&name, "backup", "", "name of the backup, such as 20261122T130501Z (default the newest)")
	return cmd
}

func (a *app) restore(ctx context.Context, dir, name string) (err error) {
	s, err := a.openServers(ctx, roleTrain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	blobs, err := s.openBlobs(ctx)
	if err != nil {
		return err
	}
	back, err := backup.Restore(ctx, dir, name, backup.Target{URL: s.databaseURL, Blobs: blobs, Files: s.data.runs()})
	if err != nil {
		return err
	}
	return a.writeBackup("restored", dir, back)
}

func (a *app) writeBackup(did, dir string, sum backup.Summary) error {
	if a.json {
		return a.writeJSON(sum)
	}
	fmt.Fprintf(a.stdout, "%s %s: %s in %s, %s, of which %d of %.1f MB were copied\n", did, filepath.Join(dir, sum.Name),
		plural(int(sum.Rows), "row"), plural(len(sum.Tables), "table"), plural(len(sum.Blobs), "blob"), sum.Copied, float64(sum.Bytes)/1e6)
	return nil
}
