package storage

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Fork is a new run that goes on from a version of another.
type Fork struct {
	Parent  hone.RunID
	Version int
	Run     NewRun
	// Restart makes the version the new run's version 0 and counts cycles anew. Without it the new run has all versions of its parent
	// up to that one, under their numbers, with their metrics and evaluations, and goes on as the parent would: what was sampled before
	// stays with the parent alone; see [Store.Owner].
	Restart bool
	// State is what moves with the version in the new run, beside its weights and optimiser; nil means what moves with it in the parent.
	State json.RawMessage
}

// ForkRun makes the run, or returns the one of that name if it is the same fork. Another run of that name is [hone.ErrConflict], a
// version that the parent hasn't, [hone.ErrNotFound].
func (s *Store) ForkRun(ctx context.Context, f Fork) (Run, error) {
	if err := f.Run.validate(); err != nil {
		return Run{}, err
	}
	if _, err := runKey(f.Parent); err != nil {
		return Run{}, err
	}
	id, first := RunIDOf(f.Run.Name), f.Version
	if f.Restart {
		first = 0
	}
	err := s.inTx(ctx, fault.Fork, func(tx pgx.Tx) error {
		from, _, err := readVersion(ctx, tx, f.Parent, f.Version)
		if err != nil {
			return fmt.Errorf("version %d of run %s: %w", f.Version, f.Parent, err)
		}
		if f.State != nil {
			from.State = f.State
		}
		if err := from.validate(); err != nil {
			return err
		}
		made, err := insertRun(ctx, tx, id, f.Run)
		if err != nil || !made {
			return err
		}
		if err := complete(ctx, tx, f.Parent, f.Version); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE runs SET parent = $2, parent_version = $3, first_cycle = $4 WHERE run_id = $1",
			string(id), string(f.Parent), f.Version, first); err != nil {
			return err
		}
		if f.Restart {
			_, err = tx.Exec(ctx, `INSERT INTO policy_versions (run_id, version, weights, optimiser, state)
				SELECT $1::uuid, 0, weights, optimiser, state FROM policy_versions WHERE run_id = $2 AND version = $3`,
				string(id), string(f.Parent), f.Version)
		} else {
			err = inherit(ctx, tx, id, f)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE policy_versions SET state = $3 WHERE run_id = $1 AND version = $2",
			string(id), first, string(from.State)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE policy_heads SET version = $2 WHERE run_id = $1", string(id), first)
		return err
	})
	if err != nil {
		return Run{}, fail(ctx, err, "fork run %s", f.Run.Name)
	}
	r, err := s.Run(ctx, id)
	if err != nil {
		return Run{}, err
	}
	if r.Parent != f.Parent || r.ParentVersion != f.Version || r.FirstCycle != first {
		return Run{}, fmt.Errorf("run %s exists and is not that fork; choose another name: %w", f.Run.Name, hone.ErrConflict)
	}
	return r, f.Run.matches(r.NewRun)
}

// inherit copies all that is small of the versions up to the fork's.
func inherit(ctx context.Context, tx pgx.Tx, id hone.RunID, f Fork) error {
	for _, query := range []string{
		`INSERT INTO policy_versions
				(run_id, version, iteration, weights, optimiser, state, created_at, restores, weights_dropped, optimiser_dropped)
			SELECT $1::uuid, version, iteration, weights, optimiser, state, created_at, restores, weights_dropped, optimiser_dropped
			FROM policy_versions WHERE run_id = $2 AND version <= $3`,
		`INSERT INTO iteration_metrics (run_id, iteration, name, value)
			SELECT $1::uuid, iteration, name, value FROM iteration_metrics WHERE run_id = $2 AND iteration < $3`,
		`INSERT INTO evaluations (run_id, version, split, mode, problem_limit, problems, tokens, digest, created_at)
			SELECT $1::uuid, version, split, mode, problem_limit, problems, tokens, digest, created_at
			FROM evaluations WHERE run_id = $2 AND version <= $3`,
		`INSERT INTO evaluation_answers
				(run_id, version, split, mode, problem_limit, position, task, problem_key, outcome, reason, tokens, completion)
			SELECT $1::uuid, version, split, mode, problem_limit, position, task, problem_key, outcome, reason, tokens, completion
			FROM evaluation_answers WHERE run_id = $2 AND version <= $3`,
	} {
		if _, err := tx.Exec(ctx, query, string(id), string(f.Parent), f.Version); err != nil {
			return err
		}
	}
	return nil
}

// Owner is the run that has what was sampled in a cycle of run: itself, or for the cycles before a fork one of those that it comes from.
func (s *Store) Owner(ctx context.Context, run hone.RunID, iteration int) (hone.RunID, error) {
	for {
		r, err := s.Run(ctx, run)
		if err != nil || iteration >= r.FirstCycle {
			return run, err
		}
		run = r.Parent
	}
}
