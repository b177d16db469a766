package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
)

// partRows is how many trajectories of a replay are a row: enough to cost next to nothing each, and far from the gigabyte that a value of
// PostgreSQL may have.
const partRows = 1024

// insertReplay writes a replay's breakdowns, many a row. The commit is not waited for: a crash of the server in the next moment loses the
// transaction as a whole, its entry in the ledger included, so that the part is scored again; see [Store.KeepScorings].
func (w *scoringWriter) insertReplay(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
		return err
	}
	for lo := 0; lo < len(w.scored); lo += partRows {
		hi := min(lo+partRows, len(w.scored))
		samples, steps := make([]int32, hi-lo), make([]int32, hi-lo)
		outcomes, totals := make([]string, hi-lo), make([]float64, hi-lo)
		for i, s := range w.scored[lo:hi] {
			samples[i], steps[i] = int32(s.Sample), int32(s.Breakdown.Steps)
			outcomes[i], totals[i] = string(s.Breakdown.Outcome), s.Breakdown.Total()
		}
		_, err := tx.Exec(ctx, `INSERT INTO replays (run_id, iteration, scoring_id, first, samples, outcomes, steps, totals, packed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			w.run, w.key.Iteration, w.key.Scoring, samples[0], samples, outcomes, steps, totals, w.packed[lo:hi])
		if err != nil {
			return err
		}
	}
	return nil
}

// KeepScorings makes durable what [Store.SaveScoring] stored of replays. Commits are in order, so waiting for this one is waiting for all
// before it.
func (s *Store) KeepScorings(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// A transaction that writes nothing has no commit to wait for; this one writes a record of the log that means nothing.
		_, err := tx.Exec(ctx, "SELECT pg_logical_emit_message(true, 'hone', '')")
		return err
	})
	return fail(ctx, err, "make scorings durable")
}

// loadReplay loads what a replay found of a range, in the order of samples.
func loadReplay(ctx context.Context, tx pgx.Tx, r Samples, scoring int) ([]Scored, error) {
	rows, err := tx.Query(ctx, `SELECT samples, outcomes, steps, packed FROM replays
		WHERE run_id = $1 AND iteration = $2 AND scoring_id = $3 AND first < $4::bigint ORDER BY first`,
		string(r.Run), r.Iteration, scoring, r.to())
	if err != nil {
		return nil, err
	}
	var samples, steps []int32
	var outcomes []string
	var packed [][]byte
	var all []Scored
	_, err = pgx.ForEachRow(rows, []any{&samples, &outcomes, &steps, &packed}, func() error {
		for i, sample := range samples {
			if int(sample) < r.From || int(sample) >= r.to() {
				continue
			}
			s := Scored{Sample: int(sample), Breakdown: hone.Breakdown{Outcome: hone.Outcome(outcomes[i]), Steps: int(steps[i])}}
			if err := unpackBreakdown(packed[i], &s.Breakdown); err != nil {
				return fmt.Errorf("sample %d: %w", sample, err)
			}
			all = append(all, s)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Scored) int { return cmp.Compare(a.Sample, b.Sample) })
	return all, err
}

// replayTotals loads the totals that are stored of a replay, in the order of samples.
func replayTotals(ctx context.Context, tx pgx.Tx, run hone.RunID, iteration, scoring int) ([]Sums, error) {
	rows, err := tx.Query(ctx, `SELECT unnest(samples) AS sample, unnest(totals) FROM replays
		WHERE run_id = $1 AND iteration = $2 AND scoring_id = $3 ORDER BY sample`, string(run), iteration, scoring)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Sums, err error) {
		return s, row.Scan(&s.Sample, &s.Total)
	})
}
