package storage

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
)

// Sums are the totals that are stored of one sample's scoring beside the terms that they are sums of.
type Sums struct {
	Sample int
	Total  float64
	// Layers are in the order of the stack; a replay has none.
	Layers []LayerSums
}

// LayerSums are a layer's weighted sums: of all its terms, and [S] of the terms of each step.
type LayerSums struct {
	LayerTotal
	Steps []float32
}

// LoadSums loads the stored totals of an iteration's scoring, in the order of samples.
func (s *Store) LoadSums(ctx context.Context, run hone.RunID, iteration, scoring int) ([]Sums, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	var all []Sums
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if scoring != LiveScoring {
			all, err = replayTotals(ctx, tx, run, iteration, scoring)
			return err
		}
		const where = " WHERE run_id = $1 AND iteration = $2 AND scoring_id = $3 ORDER BY sample"
		rows, err := tx.Query(ctx, "SELECT sample, total FROM scores"+where, string(run), iteration, scoring)
		if err != nil {
			return err
		}
		if all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Sums, err error) {
			return s, row.Scan(&s.Sample, &s.Total)
		}); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, "SELECT sample, layer, total, per_step FROM rewards"+where+", position", string(run), iteration, scoring)
		if err != nil {
			return err
		}
		at, sample := 0, 0
		var layer LayerSums
		_, err = pgx.ForEachRow(rows, []any{&sample, &layer.Layer, &layer.Total, &layer.Steps}, func() error {
			for at < len(all) && all[at].Sample < sample {
				at++
			}
			if at == len(all) || all[at].Sample != sample {
				return fmt.Errorf("rewards of sample %d, which has no score: %w", sample, hone.ErrCorrupt)
			}
			all[at].Layers = append(all[at].Layers, layer)
			layer.Steps = nil
			return nil
		})
		return err
	})
	return all, fail(ctx, err, "load sums of scoring %d of iteration %d of run %s", scoring, iteration, run)
}

// PromptEnds are how the prompts of an iteration ended, by slot; none until it is committed. Their problems have no prompt.
func (s *Store) PromptEnds(ctx context.Context, run hone.RunID, iteration int) ([]PromptEnd, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT slot, task, problem_key, state, reason FROM iteration_prompts
		WHERE run_id = $1 AND iteration = $2 ORDER BY slot`, string(run), iteration)
	if err != nil {
		return nil, fail(ctx, err, "prompts of iteration %d of run %s", iteration, run)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p PromptEnd, err error) {
		return p, row.Scan(&p.Slot, &p.Problem.Task, &p.Problem.Key, &p.State, &p.Reason)
	})
	return all, fail(ctx, err, "prompts of iteration %d of run %s", iteration, run)
}
