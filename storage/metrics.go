package storage

import (
	"context"
	"maps"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// executor is a connection, a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SaveMetrics adds numbers to those of an iteration (-1: before the first cycle), replacing those of the same names. NaN and
// infinities are kept.
func (s *Store) SaveMetrics(ctx context.Context, run hone.RunID, iteration int, metrics map[string]float64) error {
	key, err := runKey(run)
	if err != nil {
		return err
	}
	err = fault.Around(ctx, fault.Metrics, func() error { return writeMetrics(ctx, s.pool, key, iteration, metrics) })
	return fail(ctx, err, "save metrics of iteration %d of run %s", iteration, run)
}

func writeMetrics(ctx context.Context, e executor, run pgtype.UUID, iteration int, metrics map[string]float64) error {
	names := slices.Sorted(maps.Keys(metrics))
	values := make([]float64, len(names))
	for i, name := range names {
		if err := checkText("name of metric", name); err != nil {
			return err
		}
		values[i] = metrics[name]
	}
	_, err := e.Exec(ctx, `INSERT INTO iteration_metrics (run_id, iteration, name, value)
		SELECT $1, $2, name, value FROM unnest($3::text[], $4::float8[]) AS m (name, value)
		ON CONFLICT (run_id, iteration, name) DO UPDATE SET value = excluded.value`, run, iteration, names, values)
	return err
}

// IterationMetrics are the numbers of one iteration, empty where there are none; -1 is what came before the first cycle.
func (s *Store) IterationMetrics(ctx context.Context, run hone.RunID, iteration int) (map[string]float64, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT name, value FROM iteration_metrics WHERE run_id = $1 AND iteration = $2", string(run), iteration)
	if err != nil {
		return nil, fail(ctx, err, "metrics of iteration %d of run %s", iteration, run)
	}
	metrics := make(map[string]float64)
	var name string
	var value float64
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		metrics[name] = value
		return nil
	})
	return metrics, fail(ctx, err, "metrics of iteration %d of run %s", iteration, run)
}

// Metrics are all numbers of a run by iteration; -1 is what came before the first cycle.
func (s *Store) Metrics(ctx context.Context, run hone.RunID) (map[int]map[string]float64, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT iteration, name, value FROM iteration_metrics WHERE run_id = $1", string(run))
	if err != nil {
		return nil, fail(ctx, err, "metrics of run %s", run)
	}
	all := make(map[int]map[string]float64)
	var iteration int
	var name string
	var value float64
	_, err = pgx.ForEachRow(rows, []any{&iteration, &name, &value}, func() error {
		if all[iteration] == nil {
			all[iteration] = make(map[string]float64)
		}
		all[iteration][name] = value
		return nil
	})
	return all, fail(ctx, err, "metrics of run %s", run)
}
