package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// lookAttempts is how often a command that only looks begins anew when the servers that it joined have just ended.
const lookAttempts = 3

// look gives f the record, from whoever serves it.
func (a *app) look(ctx context.Context, to access, f func(context.Context, *servers, *storage.Store) error) error {
	var err error
	for range lookAttempts {
		var joined bool
		joined, err = a.lookOnce(ctx, to, f)
		if !joined || !errors.Is(err, hone.ErrUnavailable) || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (a *app) lookOnce(ctx context.Context, to access, f func(context.Context, *servers, *storage.Store) error) (joined bool, err error) {
	s, err := a.openServers(ctx, roleLook)
	if err != nil {
		return false, err
	}
	joined = s.joined != nil
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	store, err := s.store(ctx, to)
	if err != nil {
		return joined, err
	}
	defer store.Close()
	return joined, f(ctx, s, store)
}

// runOf is the run of that name, or the newest one where the name is empty.
func (a *app) runOf(ctx context.Context, store *storage.Store, name string) (storage.Run, error) {
	if name != "" {
		run, err := store.RunNamed(ctx, name)
		if errors.Is(err, hone.ErrNotFound) {
			return run, fmt.Errorf("there is no run %s; %s lists those there are: %w", name, a.propose("runs"), hone.ErrNotFound)
		}
		return run, err
	}
	all, err := store.Runs(ctx)
	if err != nil {
		return storage.Run{}, err
	}
	if len(all) == 0 {
		return storage.Run{}, fmt.Errorf("%w yet; start one with: %s: %w", errNoRuns, a.propose("train", "--preset", "demo"), hone.ErrNotFound)
	}
	return all[0].Run, nil
}

// answerPatience is how long to wait for a run's workers to say what they do: none may be there.
const answerPatience = 3 * time.Second

// live is what Temporal knows of a run at the moment; nil where nobody works on it.
func (s *servers) live(ctx context.Context, run string) *workflows.Status {
	if s.temporalAddress == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	status, err := workflows.ReadStatus(ctx, c, run)
	if err != nil || status.State != "running" {
		return nil
	}
	return &status
}

// statusName is a run's status as a person sees it: a run that is being trained by nobody was interrupted, which the record can't
// know.
func statusName(run storage.Run, live bool) string {
	if run.Status == storage.StatusRunning && !live {
		return "interrupted"
	}
	return string(run.Status)
}
