package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// steerPatience is how long a run's worker may take to answer.
const steerPatience = 30 * time.Second

// steering asks a run that is being trained for something.
type steering func(ctx context.Context, c client.Client, run string) (workflows.Progress, error)

func (a *app) pauseCommand() *cobra.Command {
	return a.steeringCommand("pause RUN", "Keep a run waiting after the cycle it is in",
		`pause lets the cycle under way end and then keeps the run waiting, with its workers, until hone resume.`, workflows.Pause)
}

func (a *app) resumeCommand() *cobra.Command {
	return a.steeringCommand("resume RUN", "Let a paused run go on",
		`resume ends what hone pause began. A run that was stopped goes on by hone train.`,
		workflows.Resume)
}

func (a *app) stopCommand() *cobra.Command {
	now := false
	cmd := a.steeringCommand("stop RUN", "End a run after the cycle it is in",
		`stop ends a run's training after the cycle under way, or with --now at once. hone train goes on with it later: with --now the cycle's
stored shards are kept, and the rest of it is done again.`,
		func(ctx context.Context, c client.Client, run string) (workflows.Progress, error) {
			if now {
				return workflows.StopNow(ctx, c, run)
			}
			return workflows.Stop(ctx, c, run)
		})
	cmd.Flags().BoolVar(&now, "now", false, "don't wait for the cycle under way")
	return cmd
}

func (a *app) extendCommand() *cobra.Command {
	cycles := 0
	cmd := a.steeringCommand("extend RUN --cycles N", "Give a run that is being trained more cycles",
		`extend raises the number of cycles of the whole run. A run that nobody is training is extended by hone train --cycles.`,
		func(ctx context.Context, c client.Client, run string) (workflows.Progress, error) {
			return workflows.Extend(ctx, c, run, cycles)
		})
	cmd.Flags().IntVar(&cycles, "cycles", 0, "number of cycles of the whole run (required)")
	if err := cmd.MarkFlagRequired("cycles"); err != nil {
		panic("the flag was just added: " + err.Error())
	}
	return cmd
}

func (a *app) steeringCommand(use, short, long string, do steering) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.steer(ctx, s, store, args[0], do)
			})
		},
	}
}

// steer asks the run, and shows what it answers.
func (a *app) steer(ctx context.Context, s *servers, store *storage.Store, name string, do steering) error {
	run, err := a.runOf(ctx, store, name)
	if err != nil {
		return err
	}
	progress, err := asked(ctx, s, run.Name, do)
	if errors.Is(err, errNobody) {
		return a.nobody(run.Name)
	}
	if err != nil {
		return err
	}
	return a.showProgress(progress)
}

// errNobody is that a run is not being trained.
var errNobody = errors.New("nobody is training the run")

// asked is what a run that is being trained answers; errNobody where it isn't.
func asked[T any](
	ctx context.Context, s *servers, run string, do func(ctx context.Context, c client.Client, run string) (T, error),
) (T, error) {
	var none T
	if s.temporalAddress == "" {
		return none, errNobody
	}
	c, err := s.dial(ctx)
	if err != nil {
		return none, err
	}
	defer c.Close()
	patient, cancel := context.WithTimeout(ctx, steerPatience)
	defer cancel()
	answer, err := do(patient, c, run)
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, hone.ErrNotFound):
		return none, errNobody
	case patient.Err() != nil && ctx.Err() == nil:
		return none, fmt.Errorf("run %s did not answer in %v: no worker of Temporal's queue %s seems to be there: %w",
			run, steerPatience, workflows.QueueControl, hone.ErrUnavailable)
	}
	return none, err
}

// nobody says what to do with a run that isn't being trained.
func (a *app) nobody(run string) error {
	return fmt.Errorf("%w %s; to go on with it: %s: %w", errNobody, run, a.propose("train", "--run", run), hone.ErrInvalid)
}

func (a *app) showProgress(p workflows.Progress) error {
	if a.json {
		return a.writeJSON(p)
	}
	fmt.Fprintln(a.stdout, p)
	return nil
}
