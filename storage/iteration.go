package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Iteration is one cycle's sampling.
type Iteration struct {
	Run       hone.RunID
	Iteration int
	// Behaviour is the policy version that samples.
	Behaviour int
	// Prompts is how many prompts there are, >= 1; each must end in a [PromptEnd].
	Prompts int
	// Round is the one that begins, from 0, and Shards how many shards its prompts are dealt to, >= 1; 0 says nothing of it.
	Round, Shards int
}

// StartIteration says that an iteration of so many prompts is sampled by the policy version behaviour. Repeating it does
// nothing; other numbers are [hone.ErrConflict], and so is an iteration that the run has gone past without it. The number of shards
// stays what it was said to be first: see [Store.Shards].
func (s *Store) StartIteration(ctx context.Context, it Iteration) error {
	if _, err := runKey(it.Run); err != nil {
		return err
	}
	if it.Iteration < 0 || it.Prompts <= 0 {
		return fmt.Errorf("iteration %d of %d prompts, want 0 or more and 1 or more: %w", it.Iteration, it.Prompts, hone.ErrInvalid)
	}
	err := s.inTx(ctx, fault.Iteration, func(tx pgx.Tx) error {
		// The head is locked so that no change of settings comes between: see ChangeSettings.
		tag, err := tx.Exec(ctx, `INSERT INTO iterations (run_id, iteration, behaviour, prompts)
			SELECT run_id, $2::int, $3::int, $4::int
			FROM (SELECT run_id, version FROM policy_heads WHERE run_id = $1 FOR SHARE) h WHERE coalesce(version, -1) <= $2
			ON CONFLICT DO NOTHING`, string(it.Run), it.Iteration, it.Behaviour, it.Prompts)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			var behaviour, prompts int
			err := tx.QueryRow(ctx, "SELECT behaviour, prompts FROM iterations WHERE run_id = $1 AND iteration = $2",
				string(it.Run), it.Iteration).Scan(&behaviour, &prompts)
			if errors.Is(err, pgx.ErrNoRows) {
				err = it.late(ctx, tx)
			}
			if err != nil {
				return err
			}
			if behaviour != it.Behaviour || prompts != it.Prompts {
				return fmt.Errorf("it was started with version %d and %d prompts, not %d and %d: %w",
					behaviour, prompts, it.Behaviour, it.Prompts, hone.ErrConflict)
			}
		}
		return it.divide(ctx, tx)
	})
	return fail(ctx, err, "start iteration %d of run %s", it.Iteration, it.Run)
}

// late reports why the iteration can't begin.
func (it Iteration) late(ctx context.Context, tx pgx.Tx) error {
	head, err := readHead(ctx, tx, it.Run, "")
	if err != nil {
		return err
	}
	return fmt.Errorf("the run is at version %d already, by going back: %w", head.Number, hone.ErrConflict)
}

// ExtendIteration raises the number of prompts of an iteration that was started to it.Prompts; one that has as many or more stays as it
// is. [hone.ErrInvalid]: it was not started by that version, or is committed already.
func (s *Store) ExtendIteration(ctx context.Context, it Iteration) error {
	if _, err := runKey(it.Run); err != nil {
		return err
	}
	err := s.inTx(ctx, fault.Iteration, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE iterations SET prompts = greatest(prompts, $4)
			WHERE run_id = $1 AND iteration = $2 AND behaviour = $3 AND status = 'open'`,
			string(it.Run), it.Iteration, it.Behaviour, it.Prompts)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("version %d has not started it, or it is done: %w", it.Behaviour, hone.ErrInvalid)
		}
		return it.divide(ctx, tx)
	})
	return fail(ctx, err, "extend iteration %d of run %s to %d prompts", it.Iteration, it.Run, it.Prompts)
}

// division is the ledger's key of how many shards a round has.
func (it Iteration) division() string {
	return fmt.Sprintf("%s/%d/0", BatchDivision, it.Iteration) + ShardKey{Round: it.Round}.round()
}

// divide notes the number of shards, where none is noted.
func (it Iteration) divide(ctx context.Context, tx pgx.Tx) error {
	if it.Shards <= 0 {
		return nil
	}
	d := newDigester()
	d.ints(it.Shards)
	_, err := tx.Exec(ctx, `INSERT INTO ingest_batches (run_id, batch_key, digest, row_count) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, string(it.Run), it.division(), d.sum(), it.Shards)
	return err
}

// Shards is how many shards a round of an iteration has; 0 where nobody has said yet.
func (s *Store) Shards(ctx context.Context, run hone.RunID, iteration, round int) (shards int, err error) {
	if _, err := runKey(run); err != nil {
		return 0, err
	}
	err = s.pool.QueryRow(ctx, "SELECT row_count FROM ingest_batches WHERE run_id = $1 AND batch_key = $2",
		string(run), Iteration{Iteration: iteration, Round: round}.division()).Scan(&shards)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return shards, fail(ctx, err, "shards of round %d of iteration %d of run %s", round, iteration, run)
}
