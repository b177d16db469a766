package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// LiveScoring is the scoring that a run trains on; the others are replays.
const LiveScoring = 0

// ScoringKey names a part of the scoring of an iteration.
type ScoringKey struct {
	ShardKey
	// Scoring is [LiveScoring] or what [Store.AddScoring] returned.
	Scoring int
}

func (k ScoringKey) batch() string {
	return fmt.Sprintf("score/%d/%d/%d", k.Scoring, k.Iteration, k.Shard) + k.round()
}

// Scored is one trajectory's breakdown.
type Scored struct {
	Sample    int
	Breakdown hone.Breakdown
}

// AddScoring makes room for scoring the run's trajectories again under another reward configuration, and returns its number,
// from 1. The same configuration has the same number.
func (s *Store) AddScoring(ctx context.Context, run hone.RunID, config json.RawMessage) (scoring int, err error) {
	if _, err := runKey(run); err != nil {
		return 0, err
	}
	if !json.Valid(config) {
		return 0, fmt.Errorf("configuration %q of a scoring is not JSON: %w", config, hone.ErrInvalid)
	}
	err = s.inTx(ctx, fault.Replay, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT 0 FROM runs WHERE run_id = $1 FOR NO KEY UPDATE", string(run)).Scan(&scoring); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, "SELECT scoring_id FROM scorings WHERE run_id = $1 AND kind = 'replay' AND config = $2",
			string(run), config).Scan(&scoring)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO scorings (run_id, scoring_id, kind, config)
			SELECT $1, max(scoring_id) + 1, 'replay', $2 FROM scorings WHERE run_id = $1 RETURNING scoring_id`,
			string(run), config).Scan(&scoring)
	})
	return scoring, fail(ctx, err, "add scoring to run %s", run)
}

// ScoringConfig is the configuration of a scoring, as it was given to [Store.AddScoring]; the live one's is the run's.
func (s *Store) ScoringConfig(ctx context.Context, run hone.RunID, scoring int) (config json.RawMessage, err error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	err = s.pool.QueryRow(ctx, "SELECT config FROM scorings WHERE run_id = $1 AND scoring_id = $2", string(run), scoring).Scan(&config)
	return config, fail(ctx, err, "scoring %d of run %s", scoring, run)
}

// HasScoring tells whether that part was stored.
func (s *Store) HasScoring(ctx context.Context, key ScoringKey) (bool, error) {
	return s.hasBatch(ctx, key.Run, key.batch())
}

// SaveScoring stores breakdowns, in one transaction and once: repeating it does nothing, other content under the same key is
// [hone.ErrConflict], and no other scoring is touched.
func (s *Store) SaveScoring(ctx context.Context, key ScoringKey, scored []Scored) error {
	run, err := runKey(key.Run)
	if err != nil {
		return err
	}
	w := scoringWriter{run: run, key: key, scored: scored}
	if err := w.prepare(); err != nil {
		return fail(ctx, err, "save scoring %d of shard %s", key.Scoring, key.ShardKey)
	}
	err = s.inTx(ctx, fault.Scoring, func(tx pgx.Tx) error {
		b := batch{run: run, key: key.batch(), digest: w.digest(), rows: len(scored)}
		stored, err := b.enter(ctx, tx)
		if err != nil || stored {
			return err
		}
		if err := w.added(ctx, tx); err != nil {
			return err
		}
		if w.packed != nil {
			return w.insertReplay(ctx, tx)
		}
		return w.copy(ctx, tx)
	})
	return fail(ctx, err, "save scoring %d of shard %s", key.Scoring, key.ShardKey)
}

// scoringWriter turns breakdowns into rows; layers are all layers of all breakdowns in order.
type scoringWriter struct {
	run    pgtype.UUID
	key    ScoringKey
	scored []Scored
	layers []layerRow
	// packed are a replay's breakdowns; the live scoring's, of which it is nil, are in layers.
	packed [][]byte
}

type layerRow struct {
	sample, position int
	layer            hone.LayerScore
	perStep          []float32
	detail           []byte
}

func (w *scoringWriter) prepare() error {
	if w.key.Scoring != LiveScoring {
		w.packed = make([][]byte, 0, len(w.scored))
	}
	for i, s := range w.scored {
		if err := s.Breakdown.Validate(); err != nil {
			return fmt.Errorf("sample %d: %w", s.Sample, err)
		}
		if w.key.Scoring != LiveScoring {
			if i > 0 && s.Sample <= w.scored[i-1].Sample {
				return fmt.Errorf("sample %d comes after sample %d: want them in order: %w", s.Sample, w.scored[i-1].Sample, hone.ErrInvalid)
			}
			packed, err := packBreakdown(s.Breakdown)
			if err != nil {
				return fmt.Errorf("sample %d: %w", s.Sample, err)
			}
			w.packed = append(w.packed, packed)
			continue
		}
		for position, layer := range s.Breakdown.Layers {
			row, err := newLayerRow(layer, s.Breakdown.Steps)
			if err != nil {
				return fmt.Errorf("sample %d: layer %s: %w", s.Sample, layer.Layer, err)
			}
			row.sample, row.position = s.Sample, position
			w.layers = append(w.layers, row)
		}
	}
	return nil
}

func newLayerRow(layer hone.LayerScore, steps int) (layerRow, error) {
	row := layerRow{layer: layer, perStep: make([]float32, steps)}
	if err := checkText("name", layer.Layer); err != nil {
		return row, err
	}
	terms := append([]hone.Term{}, layer.Terms...) // one spelling for none
	for i, t := range terms {
		if t.Score == 0 {
			terms[i].Score = 0 // jsonb has no -0, and the digest must be that of what comes back
		}
		if err := checkText(fmt.Sprintf("reason of step %d", t.Step), t.Reason); err != nil {
			return row, err
		}
		row.perStep[t.Step] += float32(layer.Weight * t.Score)
	}
	detail, err := json.Marshal(terms)
	if err != nil {
		return row, fmt.Errorf("encode terms: %w", err)
	}
	row.detail = detail
	return row, nil
}

func (w *scoringWriter) digest() []byte {
	d := newDigester()
	d.ints(len(w.scored), len(w.layers))
	for _, s := range w.scored {
		d.ints(s.Sample, s.Breakdown.Steps, len(s.Breakdown.Layers))
		d.texts(string(s.Breakdown.Outcome))
	}
	for _, p := range w.packed {
		d.bytes(p)
	}
	for _, l := range w.layers {
		d.texts(l.layer.Layer)
		d.floats(l.layer.Weight)
		d.bytes(l.detail)
	}
	return d.sum()
}

// added makes sure that the scoring is known; the bulk tables have no foreign keys that would say so.
func (w *scoringWriter) added(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	err := tx.QueryRow(ctx, "SELECT true FROM scorings WHERE run_id = $1 AND scoring_id = $2", w.run, w.key.Scoring).Scan(&exists)
	if err != nil {
		return fmt.Errorf("scoring %d was not added: %w", w.key.Scoring, err)
	}
	return nil
}

// copy writes the live scoring: a row a trajectory, and one a layer.
func (w *scoringWriter) copy(ctx context.Context, tx pgx.Tx) error {
	key := w.key
	columns := []string{"run_id", "iteration", "scoring_id", "sample", "outcome", "steps", "total"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"scores"}, columns, pgx.CopyFromSlice(len(w.scored), func(i int) ([]any, error) {
		s := w.scored[i]
		return []any{
			w.run, key.Iteration, key.Scoring, s.Sample, string(s.Breakdown.Outcome), s.Breakdown.Steps, s.Breakdown.Total(),
		}, nil
	}))
	if err != nil {
		return err
	}
	columns = []string{"run_id", "iteration", "scoring_id", "sample", "position", "layer", "weight", "total", "per_step", "detail"}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"rewards"}, columns, pgx.CopyFromSlice(len(w.layers), func(i int) ([]any, error) {
		l := w.layers[i]
		return []any{
			w.run, key.Iteration, key.Scoring, l.sample, l.position, l.layer.Layer, l.layer.Weight, l.layer.Total(), l.perStep, l.detail,
		}, nil
	}))
	return err
}

// LoadScoring loads the breakdowns of an iteration in the order of samples.
func (s *Store) LoadScoring(ctx context.Context, run hone.RunID, iteration, scoring int) ([]Scored, error) {
	return s.loadScored(ctx, Samples{Run: run, Iteration: iteration}, scoring)
}

// LoadBreakdown loads that of one trajectory.
func (s *Store) LoadBreakdown(ctx context.Context, id hone.TrajectoryID, scoring int) (hone.Breakdown, error) {
	all, err := s.loadScored(ctx, Samples{Run: id.Run, Iteration: id.Iteration, From: id.Sample, To: id.Sample + 1}, scoring)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("scoring %d of trajectory %s: %w", scoring, id, hone.ErrNotFound)
	}
	if err != nil {
		return hone.Breakdown{}, err
	}
	return all[0].Breakdown, nil
}

// loadScored loads the breakdowns of a range of samples.
func (s *Store) loadScored(ctx context.Context, r Samples, scoring int) ([]Scored, error) {
	if _, err := runKey(r.Run); err != nil {
		return nil, err
	}
	var all []Scored
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if scoring != LiveScoring {
			all, err = loadReplay(ctx, tx, r, scoring)
		} else {
			all, err = loadScores(ctx, tx, r)
		}
		if err == nil && len(all) == 0 {
			err = present(ctx, tx, r.Run, r.Iteration)
		}
		return err
	})
	return all, fail(ctx, err, "load scoring %d of iteration %d of run %s", scoring, r.Iteration, r.Run)
}

// loadScores loads the live scoring of a range, in the order of samples.
func loadScores(ctx context.Context, tx pgx.Tx, r Samples) ([]Scored, error) {
	rows, err := tx.Query(ctx, `SELECT sample, outcome, steps FROM scores
		WHERE run_id = $1 AND iteration = $2 AND scoring_id = 0 AND sample >= $3 AND sample < $4::bigint ORDER BY sample`,
		string(r.Run), r.Iteration, r.From, r.to())
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Scored, err error) {
		return s, row.Scan(&s.Sample, &s.Breakdown.Outcome, &s.Breakdown.Steps)
	})
	if err != nil {
		return nil, err
	}
	return all, loadLayers(ctx, tx, r, all)
}

// loadLayers puts the layers of the live scoring into the breakdowns, which are in the order of samples.
func loadLayers(ctx context.Context, tx pgx.Tx, r Samples, all []Scored) error {
	rows, err := tx.Query(ctx, `SELECT sample, layer, weight, detail FROM rewards
		WHERE run_id = $1 AND iteration = $2 AND scoring_id = 0 AND sample >= $3 AND sample < $4::bigint ORDER BY sample, position`,
		string(r.Run), r.Iteration, r.From, r.to())
	if err != nil {
		return err
	}
	var sample, at int
	var name string
	var weight float64
	var detail []byte
	_, err = pgx.ForEachRow(rows, []any{&sample, &name, &weight, &detail}, func() error {
		for at < len(all) && all[at].Sample < sample {
			at++
		}
		if at == len(all) || all[at].Sample != sample {
			return fmt.Errorf("rewards of sample %d, which has no score: %w", sample, hone.ErrCorrupt)
		}
		layer := hone.LayerScore{Layer: name, Weight: weight}
		if err := json.Unmarshal(detail, &layer.Terms); err != nil {
			return fmt.Errorf("terms of sample %d, layer %s: %w: %w", sample, name, hone.ErrCorrupt, err)
		}
		all[at].Breakdown.Layers = append(all[at].Breakdown.Layers, layer)
		return nil
	})
	return err
}
