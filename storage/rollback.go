package storage

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Rollback is a way back to an older version.
type Rollback struct {
	Run hone.RunID
	// From is the head, To an older version.
	From, To int
	// Ahead is by how many cycles the run's sampling may be before its learning, >= 0.
	Ahead int
}

// Rollback makes the content of version r.To the run's next ones, after r.From, which must be the head: nothing that was trained is
// lost, and the cycles that follow have random streams of their own. It takes the place of the cycle under way and of the r.Ahead after it,
// whether they were sampled already or not, and returns the number of the last: so the cycle that follows is sampled by r.To's content, and
// nothing that follows depends on what had been sampled. That is abandoned. Trainers with older leases can commit no more.
//
// Repeating it returns the same number. A head that is not r.From is [hone.ErrConflict]; a version that isn't older than it is
// [hone.ErrInvalid].
func (s *Store) Rollback(ctx context.Context, r Rollback) (version int, err error) {
	if _, err := runKey(r.Run); err != nil {
		return 0, err
	}
	if r.To < 0 || r.To >= r.From || r.Ahead < 0 {
		return 0, fmt.Errorf("roll run %s back to version %d from version %d, %d cycles sampled ahead: want one of 0 to %d, and 0 or more: %w",
			r.Run, r.To, r.From, r.Ahead, r.From-1, hone.ErrInvalid)
	}
	version = r.From + 1 + r.Ahead
	err = s.inTx(ctx, fault.Rollback, func(tx pgx.Tx) error {
		head, err := readHead(ctx, tx, r.Run, "FOR UPDATE OF h")
		if err != nil {
			return err
		}
		if head.Number == version {
			var restored int
			err := tx.QueryRow(ctx, "SELECT count(*) FROM policy_versions WHERE run_id = $1 AND version > $2 AND version <= $3 AND restores = $4",
				string(r.Run), r.From, version, r.To).Scan(&restored)
			if err != nil || restored == 1+r.Ahead {
				return err
			}
		}
		if head.Number != r.From {
			return fmt.Errorf("the head is version %d, not %d: %w", head.Number, r.From, hone.ErrConflict)
		}
		if err := complete(ctx, tx, r.Run, r.To); err != nil {
			return err
		}
		return r.move(ctx, tx, version)
	})
	if err != nil {
		return 0, fail(ctx, err, "roll run %s back from version %d to %d", r.Run, r.From, r.To)
	}
	return version, nil
}

// move publishes the content as all versions up to the last, abandons the iterations in whose place they are, and moves the head.
func (r Rollback) move(ctx context.Context, tx pgx.Tx, last int) error {
	tag, err := tx.Exec(ctx, `INSERT INTO policy_versions (run_id, version, iteration, weights, optimiser, state, restores)
		SELECT run_id, n, n - 1, weights, optimiser, state, version FROM policy_versions, generate_series($2::int + 1, $3::int) n
		WHERE run_id = $1 AND version = $4`, string(r.Run), r.From, last, r.To)
	if err == nil && tag.RowsAffected() == 0 {
		err = hone.ErrNotFound
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE iterations SET status = 'abandoned', finished_at = now()
		WHERE run_id = $1 AND iteration >= $2 AND iteration < $3`, string(r.Run), r.From, last); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE policy_heads SET version = $2, fence = fence + 1, updated_at = now() WHERE run_id = $1", string(r.Run), last)
	return err
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
