package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/verify"
)

// errUnsound ends a check that found faults, for scripts.
var errUnsound = errors.New("the record does not hold together")

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [RUN]",
		Short: "Check every digest, count and sum of a run, or of all runs",
		Long: `verify reads all that is stored of a run and checks that it holds together: weights and optimisers against their digests,
trajectories, search trees and scorings against the ledger, terms against totals, totals against targets and metrics, prompts against
their iteration, and that versions and iterations follow each other without a gap. It changes nothing, and may run beside a training.

Two runs of one name, configuration and seed have the same digest, wherever they were trained and however often they were interrupted.

The exit code is 0 where all holds, 4 where something does not, and 1 for an error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.verify(ctx, s, store, args)
			})
		},
	}
}

func (a *app) verify(ctx context.Context, s *servers, store *storage.Store, args []string) error {
	var runs []storage.Run
	if len(args) == 1 {
		run, err := a.runOf(ctx, store, args[0])
		if err != nil {
			return err
		}
		runs = append(runs, run)
	} else {
		all, err := store.Runs(ctx)
		if err != nil {
			return err
		}
		for _, p := range all {
			runs = append(runs, p.Run)
		}
	}
	blobs, err := s.openBlobs(ctx)
	if err != nil {
		return err
	}
	reports := make([]verify.Report, len(runs))
	faults := 0
	for i, run := range runs {
		if reports[i], err = verify.Run(ctx, verify.Input{Store: store, Blobs: blobs, Run: run.ID}); err != nil {
			return err
		}
		faults += len(reports[i].Faults)
		if !a.json {
			writeVerified(a.stdout, reports[i])
		}
	}
	if a.json {
		if err := a.writeJSON(reports); err != nil {
			return err
		}
	}
	if faults > 0 {
		return fmt.Errorf("%w: %s", errUnsound, plural(faults, "fault"))
	}
	return nil
}

// writeVerified is a report for a person.
func writeVerified(w io.Writer, r verify.Report) {
	fmt.Fprintf(w, "%s: ", r.Run)
	if len(r.Faults) == 0 {
		fmt.Fprintf(w, "all holds, %s, %s\n", r.Status, versionWords(r.Version))
	} else {
		fmt.Fprintf(w, "%s, %s, %s\n", plural(len(r.Faults), "fault"), r.Status, versionWords(r.Version))
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "  fault    %s: %s\n", f.Where, f.What)
	}
	fmt.Fprint(w, "  checked ")
	for i, c := range r.Checked {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, " %d %s", c.Number, c.What)
	}
	fmt.Fprintf(w, "\n  digest   %s\n", r.Digest)
}

func versionWords(n int) string {
	if n < 0 {
		return "no version yet"
	}
	return fmt.Sprintf("version %d", n)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
