package storage

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Rollback makes the content of version to the run's next one, after from, which must be the head: nothing that was trained is
// lost, and the cycles that follow have random streams of their own. It takes the place of one cycle. What was sampled for that cycle
// and not trained on is abandoned. Trainers with older leases can commit no more.
//
// Repeating it returns the same number. A head that is not from is [hone.ErrConflict]; a version that isn't older than it is
// [hone.ErrInvalid].
func (s *Store) Rollback(ctx context.Context, run hone.RunID, from, to int) (version int, err error) {
	if _, err := runKey(run); err != nil {
		return 0, err
	}
	if to < 0 || to >= from {
		return 0, fmt.Errorf("roll run %s back to version %d from version %d: want one of 0 to %d: %w", run, to, from, from-1, hone.ErrInvalid)
	}
	err = s.inTx(ctx, fault.Rollback, func(tx pgx.Tx) error {
		head, err := readHead(ctx, tx, run, "FOR UPDATE OF h")
		if err != nil {
			return err
		}
		if head.Number == from+1 {
			var restored *int
			err := tx.QueryRow(ctx, "SELECT restores FROM policy_versions WHERE run_id = $1 AND version = $2", string(run), from+1).Scan(&restored)
			if err != nil || restored != nil && *restored == to {
				return err
			}
		}
		if head.Number != from {
			return fmt.Errorf("the head is version %d, not %d: %w", head.Number, from, hone.ErrConflict)
		}
		if err := complete(ctx, tx, run, to); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO policy_versions (run_id, version, iteration, weights, optimiser, state, restores)
			SELECT run_id, $2::int + 1, $2::int, weights, optimiser, state, version FROM policy_versions WHERE run_id = $1 AND version = $3`,
			string(run), from, to)
		if err == nil && tag.RowsAffected() == 0 {
			err = hone.ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE iterations SET status = 'abandoned', finished_at = now() WHERE run_id = $1 AND iteration = $2",
			string(run), from); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE policy_heads SET version = $2::int + 1, fence = fence + 1, updated_at = now() WHERE run_id = $1",
			string(run), from)
		return err
	})
	if err != nil {
		return 0, fail(ctx, err, "roll run %s back from version %d to %d", run, from, to)
	}
	return from + 1, nil
}

// Restored are the versions of a run that have the content of an older one, each with that one's number.
func (s *Store) Restored(ctx context.Context, run hone.RunID) (map[int]int, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT version, restores FROM policy_versions WHERE run_id = $1 AND restores IS NOT NULL", string(run))
	if err != nil {
		return nil, fail(ctx, err, "versions of run %s", run)
	}
	out := make(map[int]int)
	var version, restores int
	_, err = pgx.ForEachRow(rows, []any{&version, &restores}, func() error {
		out[version] = restores
		return nil
	})
	return out, fail(ctx, err, "versions of run %s", run)
}
