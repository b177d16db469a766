package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Change is one setting that is another than the run's configuration has it, from a cycle on.
type Change struct {
	// Key is the setting's path in the configuration, such as "ppo.learning_rate"; Old and New are its values, JSON.
	Key string          `json:"key"`
	Old json.RawMessage `json:"old"`
	New json.RawMessage `json:"new"`
	// Iteration is the first cycle that has the new value.
	Iteration int `json:"iteration"`
	// Created is when it was asked for.
	Created time.Time `json:"created"`
}

// Changer says what is to change, given all changes that were made before. It is called within the transaction.
type Changer func(before []Change) ([]Change, error)

// ChangeSettings records changes that hold from the first cycle on that nobody has begun, and returns them with that cycle. request names
// what asks for them: asking again under the same name returns what is stored. A cycle that has begun never sees a change, however
// the two race: this and [Store.StartIteration] wait for each other.
func (s *Store) ChangeSettings(ctx context.Context, run hone.RunID, request string, change Changer) (made []Change, err error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	if request == "" {
		return nil, fmt.Errorf("change settings of run %s: the request has no name: %w", run, hone.ErrInvalid)
	}
	err = s.inTx(ctx, fault.Change, func(tx pgx.Tx) error {
		head, err := readHead(ctx, tx, run, "FOR UPDATE OF h")
		if err != nil {
			return err
		}
		before, err := readChanges(ctx, tx, "WHERE run_id = $1", string(run))
		if err != nil {
			return err
		}
		if made, err = readChanges(ctx, tx, "WHERE run_id = $1 AND request = $2", string(run), request); err != nil || len(made) > 0 {
			return err
		}
		var next int
		err = tx.QueryRow(ctx, "SELECT greatest($2, coalesce(max(iteration) + 1, 0)) FROM iterations WHERE run_id = $1",
			string(run), max(head.Number, 0)).Scan(&next)
		if err != nil {
			return err
		}
		if made, err = change(before); err != nil {
			return err
		}
		for i := range made {
			c := &made[i]
			c.Iteration = next
			err := tx.QueryRow(ctx, `INSERT INTO changes (run_id, number, request, iteration, key, old, new)
				VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING created_at`,
				string(run), len(before)+i, request, c.Iteration, c.Key, string(c.Old), string(c.New)).Scan(&c.Created)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return made, fail(ctx, err, "change settings of run %s", run)
}

// Changes are those of a run that hold in a cycle, in the order in which they were made; -1 means all of them.
func (s *Store) Changes(ctx context.Context, run hone.RunID, iteration int) ([]Change, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	all, err := readChanges(ctx, s.pool, "WHERE run_id = $1 AND ($2 < 0 OR iteration <= $2)", string(run), iteration)
	return all, fail(ctx, err, "changes of run %s", run)
}

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readChanges(ctx context.Context, q querier, where string, args ...any) ([]Change, error) {
	rows, err := q.Query(ctx, "SELECT key, old, new, iteration, created_at FROM changes "+where+" ORDER BY number", args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Change, err error) {
		err = row.Scan(&c.Key, &c.Old, &c.New, &c.Iteration, &c.Created)
		return c, err
	})
}
