package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
)

func (a *app) serverCommand() *cobra.Command {
	port := 0
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the private Postgres and Temporal apart, until interrupted",
		Long: `server runs the private servers of a data directory as a process of their own. Other commands on the same directory find and use
them, so that ending a training process does not end the servers.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), port) },
	}
	cmd.Flags().IntVar(&port, "temporal-port", 0, "TCP port of Temporal on 127.0.0.1; 0 means a free one")
	return cmd
}

func (a *app) serve(ctx context.Context, port int) (err error) {
	s, err := a.openServers(ctx, roleServer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	if s.own == nil {
		return fmt.Errorf("both servers are yours already, by their addresses: nothing to run: %w", hone.ErrInvalid)
	}
	store, err := s.store(ctx, accessTrain) // brings the schema up to date
	if err != nil {
		return err
	}
	store.Close()
	if err := s.startTemporal(ctx, port); err != nil {
		return err
	}
	if err := s.publish(roleServer, ""); err != nil {
		return err
	}
	if a.json {
		if err := a.writeJSON(struct {
			DatabaseURL       string `json:"database_url"`
			TemporalAddress   string `json:"temporal_address"`
			TemporalNamespace string `json:"temporal_namespace"`
			DataDir           string `json:"data_dir"`
		}{withoutPassword(s.databaseURL), s.temporalAddress, s.temporalSpace, s.data.path}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "Postgres  %s\nTemporal  %s, namespace %s\ndata      %s\nCtrl-C ends them\n",
			withoutPassword(s.databaseURL), s.temporalAddress, s.temporalSpace, s.data.path)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.lost():
		return fmt.Errorf("the private Postgres has ended; see %s: %w", s.postgres.LogFile(), hone.ErrUnavailable)
	}
}
