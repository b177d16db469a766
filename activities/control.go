package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
)

// RollBack makes the content of an older version the run's next one: with overlap the next ones, see [storage.Store.Rollback].
func (a *Activities) RollBack(ctx context.Context, in RollBackInput) (out RollBackOutput, err error) {
	err = beating(ctx, "roll back", func(ctx context.Context, _ *pulse) error {
		run, err := a.deps.Store.Run(ctx, in.Run)
		if err != nil {
			return err
		}
		job, err := decodeJob(run.Config)
		if err != nil {
			return fmt.Errorf("run %s: %w", run.Name, err)
		}
		version, err := a.deps.Store.Rollback(ctx, storage.Rollback{Run: in.Run, From: in.From, To: in.To, Ahead: job.Rollout.Staleness})
		if err != nil {
			return unretried(err)
		}
		stored, err := a.deps.Store.Version(ctx, in.Run, version)
		out = RollBackOutput{Version: version, Manifest: string(stored.Manifest())}
		return err
	})
	return out, err
}

// Fork makes a run that goes on from a version of another. Its policy must have the parent's shape.
func (a *Activities) Fork(ctx context.Context, in ForkInput) (out ForkOutput, err error) {
	err = beating(ctx, "fork", func(ctx context.Context, _ *pulse) error {
		parent, err := a.deps.Store.Run(ctx, in.Parent)
		if err != nil {
			return err
		}
		now, err := a.jobAt(ctx, parent, in.Version)
		if err != nil {
			return err
		}
		job := now
		if in.Config != nil {
			if job, err = decodeJob(in.Config); err != nil {
				return err
			}
		}
		fork, err := a.fork(ctx, in, now, job)
		if err != nil {
			return err
		}
		run, err := a.deps.Store.ForkRun(ctx, fork)
		if err != nil {
			return unretried(err)
		}
		head, err := a.deps.Store.Head(ctx, run.ID)
		out = ForkOutput{Run: run.ID, Version: head.Number}
		return err
	})
	return out, err
}

// jobAt is a run's configuration in a cycle.
func (a *Activities) jobAt(ctx context.Context, run storage.Run, iteration int) (Job, error) {
	job, err := decodeJob(run.Config)
	if err != nil {
		return job, fmt.Errorf("run %s: %w", run.Name, err)
	}
	changes, err := a.deps.Store.Changes(ctx, run.ID, iteration)
	if err != nil {
		return job, err
	}
	return job.with(changes)
}

// fork is the new run under a job, where the parent goes on under the job now.
func (a *Activities) fork(ctx context.Context, in ForkInput, now, job Job) (storage.Fork, error) {
	out := storage.Fork{Parent: in.Parent, Version: in.Version, Restart: in.Restart}
	parent, err := a.session(ctx, in.Parent)
	if err != nil {
		return out, err
	}
	s, err := newSession(ctx, parent.deps, storage.RunIDOf(in.Name), job)
	if err != nil {
		return out, err
	}
	before, err := now.shape()
	if err != nil {
		return out, err
	}
	if s.shape != before {
		return out, fmt.Errorf("fork %s: policy %+v: the weights of version %d are of %+v: %w",
			in.Name, s.shape, in.Version, before, hone.ErrInvalid)
	}
	_, moved, err := parent.version(ctx, in.Version)
	if err != nil {
		return out, err
	}
	fresh := job.firstState()
	switch {
	case in.Restart:
		moved = fresh
	default:
		if job.PPO.KLCoef != now.PPO.KLCoef {
			moved.Beta = fresh.Beta
		}
		if job.PPO.EntropyCoef != now.PPO.EntropyCoef || job.PPO.EntropyTarget != now.PPO.EntropyTarget {
			moved.EntropyCoef = fresh.EntropyCoef
		}
	}
	if out.State, err = json.Marshal(moved); err != nil {
		return out, fmt.Errorf("encode state: %w", err)
	}
	config, err := json.Marshal(job)
	if err != nil {
		return out, fmt.Errorf("encode configuration: %w", err)
	}
	out.Run = storage.NewRun{
		Name: in.Name, Config: config, Seed: job.Seed, Dataset: task.Digest(s.train),
		Commit: a.deps.Commit, Fingerprint: job.fingerprint(a.deps.Kernels),
	}
	return out, nil
}

// Settings are a run's configuration in a cycle, and all that was changed of it until then; -1 means all that was changed.
func (i Inspector) Settings(ctx context.Context, run hone.RunID, iteration int) (Job, []storage.Change, error) {
	stored, err := i.activities.deps.Store.Run(ctx, run)
	if err != nil {
		return Job{}, nil, err
	}
	changes, err := i.activities.deps.Store.Changes(ctx, run, iteration)
	if err != nil {
		return Job{}, nil, err
	}
	job, err := decodeJob(stored.Config)
	if err != nil {
		return job, nil, err
	}
	job, err = job.with(changes)
	return job, changes, err
}
