package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// defaultDeployment is the name under which workers' builds replace one another.
const defaultDeployment = "hone"

func (a *app) deploymentCommand() *cobra.Command {
	name, percent := defaultDeployment, 100.0
	cmd := &cobra.Command{
		Use:   "deployment [BUILD]",
		Short: "Show the builds of the workers, or make one of them take over",
		Long: `deployment shows which builds there are workers of (hone worker --build-id) and which of them takes work. With a build's id it
makes that one take over: workers of both builds run, new work goes to the new one, and runs under way move to it at their next step,
replaying what was decided so far. --ramp gives it a share of the work first. To go back, name the build before.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, _ *storage.Store) error {
				return a.deployment(ctx, s, name, args, percent)
			})
		},
	}
	cmd.Flags().StringVar(&name, "deployment", name, "name of the deployment")
	cmd.Flags().Float64Var(&percent, "ramp", percent, "percent of the work to give to the build; at 100 it takes over")
	return cmd
}

func (a *app) deployment(ctx context.Context, s *servers, name string, builds []string, percent float64) (err error) {
	if s.temporalAddress == "" {
		return fmt.Errorf("no Temporal is running for %s; give --temporal-address, or start: %s: %w",
			s.data.path, a.propose("server"), hone.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, steerPatience)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if len(builds) > 0 {
		if err := workflows.Promote(ctx, c, name, builds[0], percent); err != nil {
			return err
		}
	}
	d, err := workflows.ReadDeployment(ctx, c, name)
	if err != nil {
		return errors.Join(err, fmt.Errorf("start workers of it: %s", a.propose("worker", "--build-id", "BUILD"))) //nolint:err113 // advice
	}
	if a.json {
		return a.writeJSON(d)
	}
	for _, b := range d.Builds {
		does := ""
		switch b.ID {
		case d.Current:
			does = "takes the work"
		case d.Next:
			does = fmt.Sprintf("takes %g %% of the work", d.NextPercent)
		}
		fmt.Fprintf(a.stdout, "%-20s  since %s  %s\n", b.ID, b.Created.Local().Format(time.DateTime), does)
	}
	if d.Current == "" {
		fmt.Fprintf(a.stdout, "no build takes work yet: %s\n", a.propose("deployment", "BUILD"))
	}
	return nil
}
