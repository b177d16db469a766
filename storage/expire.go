package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// expiry is what retention takes from one run.
type expiry struct {
	store *Store
	keep  Retention
	run   Run
	back  int
	held  holding
	dry   bool
	lost  Expired
}

func (x *expiry) expire(ctx context.Context) error {
	if err := x.versions(ctx); err != nil {
		return err
	}
	return x.iterations(ctx)
}

// needed are versions that nothing may be taken from: those in service, and those that an iteration is sampled from.
const needed = `(SELECT version FROM publications WHERE run_id = $1 AND state = 'published'
	UNION ALL SELECT behaviour FROM iterations WHERE run_id = $1 AND status = 'open')`

// versions marks what old versions lose. The lock on the head keeps rollbacks and commits of the run away for the moment.
func (x *expiry) versions(ctx context.Context) error {
	err := x.store.inTx(ctx, fault.Retention, func(tx pgx.Tx) error {
		head, err := readHead(ctx, tx, x.run.ID, "FOR UPDATE OF h")
		if err != nil || head.Number < 0 {
			return err
		}
		if n := x.keep.Weights; n > 0 {
			x.lost.Weights, err = x.numbers(ctx, tx, `SELECT version FROM policy_versions WHERE run_id = $1 AND weights_dropped IS NULL
				AND version > 0 AND version <= $2 AND version NOT IN `+needed+` ORDER BY version`, head.Number-max(n, x.back+1))
			if err != nil {
				return err
			}
		}
		if n := x.keep.Optimisers; n > 0 {
			x.lost.Optimisers, err = x.numbers(ctx, tx, `SELECT version FROM policy_versions WHERE run_id = $1 AND optimiser_dropped IS NULL
				AND version <= $2 AND version NOT IN `+needed+` ORDER BY version`, head.Number-max(n, x.back+1))
			if err != nil {
				return err
			}
		}
		if err := x.unpublished(ctx, tx, head.Number); err != nil {
			return err
		}
		x.lost.Weights = slices.DeleteFunc(x.lost.Weights, func(version int) bool { return x.held.versions[version] || x.held.weights[version] })
		x.lost.Optimisers = slices.DeleteFunc(x.lost.Optimisers, func(version int) bool { return x.held.versions[version] })
		if x.dry {
			return nil
		}
		for column, versions := range map[string][]int{"weights_dropped": x.lost.Weights, "optimiser_dropped": x.lost.Optimisers} {
			_, err := tx.Exec(ctx, "UPDATE policy_versions SET "+column+" = now() WHERE run_id = $1 AND version = ANY ($2)",
				string(x.run.ID), versions)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// unpublished gives up the versions that were refused, withdrawn or retired, whatever else is kept: the head only of a run that has ended.
// A run that was trained for an attempt, ended and is used by no service gives up all its versions: its first is what was in service then,
// which would be kept by it for ever.
func (x *expiry) unpublished(ctx context.Context, tx pgx.Tx, head int) error {
	if !x.run.Status.Final() {
		head--
	}
	const spent = `($3 AND EXISTS (SELECT FROM publications WHERE run_id = $1 AND problems IS NOT NULL)
		AND NOT EXISTS (SELECT FROM publications WHERE run_id = $1 AND NOT collectable))`
	for column, lost := range map[string]*[]int{"weights_dropped": &x.lost.Weights, "optimiser_dropped": &x.lost.Optimisers} {
		more, err := x.numbers(ctx, tx, `SELECT version FROM policy_versions
			WHERE run_id = $1 AND `+column+` IS NULL AND version <= $2 AND version NOT IN `+needed+`
				AND (`+spent+` OR version > 0 AND version IN (SELECT version FROM publications WHERE run_id = $1 AND collectable))
			ORDER BY version`, head, x.run.Status.Final())
		if err != nil {
			return err
		}
		*lost = slices.Compact(slices.Sorted(slices.Values(append(*lost, more...))))
	}
	return nil
}

// iterations gives up the trajectories of old ones.
func (x *expiry) iterations(ctx context.Context) error {
	ended := x.keep.Finished > 0 && x.run.Status.Final() && time.Since(x.run.Finished) >= x.keep.Finished
	n := x.keep.Iterations
	if ended {
		n = x.back
	} else if n == 0 {
		return nil
	}
	var newest int
	if err := x.store.pool.QueryRow(ctx, "SELECT coalesce((SELECT max(iteration) FROM iterations WHERE run_id = $1), -1)",
		string(x.run.ID)).Scan(&newest); err != nil {
		return err
	}
	old, err := x.numbers(ctx, x.store.pool, `SELECT iteration FROM iterations
		WHERE run_id = $1 AND iteration <= $2 AND dropped IS NULL AND status <> 'open' ORDER BY iteration`, newest-max(n, x.back))
	if err != nil {
		return err
	}
	all := len(old)
	old = slices.DeleteFunc(old, func(iteration int) bool { return x.held.iterations[iteration] })
	if len(old) == 0 {
		return nil
	}
	x.lost.Iterations, x.lost.Partitions = old, ended && x.back == 0 && len(old) == all
	switch {
	case x.dry:
		return nil
	case x.lost.Partitions:
		return x.dropPartitions(ctx)
	}
	for _, iteration := range old {
		if err := x.dropIteration(ctx, iteration); err != nil {
			return fmt.Errorf("iteration %d: %w", iteration, err)
		}
	}
	return nil
}

// dropIteration deletes an iteration's bulk rows.
func (x *expiry) dropIteration(ctx context.Context, iteration int) error {
	return x.store.inTx(ctx, fault.Retention, func(tx pgx.Tx) error {
		for _, table := range bulk {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table.name+" WHERE run_id = $1 AND iteration = $2", string(x.run.ID), iteration); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "UPDATE iterations SET dropped = now() WHERE run_id = $1 AND iteration = $2", string(x.run.ID), iteration)
		return err
	})
}

// partitionPatience is how long dropping partitions may wait for readers of the tables, which for as long keeps writers waiting.
const partitionPatience = "2s"

// dropPartitions drops all of the run's, unless it was taken up again.
func (x *expiry) dropPartitions(ctx context.Context) error {
	return x.store.inTx(ctx, fault.Retention, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+partitionPatience+"'"); err != nil {
			return err
		}
		var ended bool
		err := tx.QueryRow(ctx, "SELECT status IN ('succeeded', 'failed', 'cancelled') FROM runs WHERE run_id = $1 FOR UPDATE", string(x.run.ID)).
			Scan(&ended)
		if err == nil && !ended {
			err = fmt.Errorf("it was taken up again meanwhile: %w", hone.ErrConflict)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT drop_run($1)", string(x.run.ID)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE iterations SET dropped = now() WHERE run_id = $1 AND dropped IS NULL AND status <> 'open'",
			string(x.run.ID))
		return err
	})
}

// numbers are the first column of a query about the run, which is its first argument.
func (x *expiry) numbers(ctx context.Context, q querier, query string, args ...any) ([]int, error) {
	rows, err := q.Query(ctx, query, append([]any{string(x.run.ID)}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}
