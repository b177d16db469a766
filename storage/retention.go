package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Retention says what runs keep. The zero value keeps everything but policies that a service has refused, withdrawn or retired, which
// [Store.Expire] gives up whatever else is kept. Digests, metrics, evaluations, settings, prompts' ends and the ledger
// are always kept: they are small, and say what was given up.
type Retention struct {
	// Weights is the number of newest versions of a run that keep their weights, >= 0; 0 means all. Version 0, which updates are
	// measured against, versions in service and those that an open iteration samples from keep theirs besides.
	Weights int `json:"weights"`
	// Optimisers is the same of the optimiser's state, without which a run can't go back to a version or be forked from it. Of versions
	// besides the newest, only those in service keep it.
	Optimisers int `json:"optimisers"`
	// Iterations is the number of newest iterations of a run that keep their trajectories, scorings, targets and trees, >= 0; 0 means all.
	Iterations int `json:"iterations"`
	// Finished is how long after its end a run loses those of all iterations, >= 0; 0 means never.
	Finished time.Duration `json:"finished_ns"`
}

// Validate joins all faults of the settings; each wraps [hone.ErrInvalid].
func (r Retention) Validate() error {
	var faults []error
	for _, one := range []struct {
		name  string
		value int
	}{{"weights", r.Weights}, {"optimisers", r.Optimisers}, {"iterations", r.Iterations}} {
		if one.value < 0 {
			faults = append(faults, fmt.Errorf("retention: %s %d, want the number that is kept, or 0 for all: %w",
				one.name, one.value, hone.ErrInvalid))
		}
	}
	if r.Finished < 0 {
		faults = append(faults, fmt.Errorf("retention: finished %v, want an age, or 0 for never: %w", r.Finished, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// Retention are the settings of this database.
func (s *Store) Retention(ctx context.Context) (r Retention, err error) {
	err = s.pool.QueryRow(ctx, "SELECT weights, optimisers, iterations, finished FROM retention").
		Scan(&r.Weights, &r.Optimisers, &r.Iterations, &r.Finished)
	if errors.Is(err, pgx.ErrNoRows) {
		return Retention{}, nil
	}
	return r, fail(ctx, err, "read retention")
}

// SaveRetention makes r the settings of this database.
func (s *Store) SaveRetention(ctx context.Context, r Retention) error {
	if err := r.Validate(); err != nil {
		return err
	}
	_, err := s.exec(ctx, fault.Retention, `INSERT INTO retention (weights, optimisers, iterations, finished) VALUES ($1, $2, $3, $4)
		ON CONFLICT (one) DO UPDATE SET weights = excluded.weights, optimisers = excluded.optimisers,
			iterations = excluded.iterations, finished = excluded.finished, updated_at = now()`,
		r.Weights, r.Optimisers, r.Iterations, r.Finished)
	return fail(ctx, err, "save retention")
}

// Expired is what one run lost, or would.
type Expired struct {
	Run  hone.RunID `json:"run"`
	Name string     `json:"name"`
	// Weights and Optimisers are the versions that lost them.
	Weights    []int `json:"weights,omitempty"`
	Optimisers []int `json:"optimisers,omitempty"`
	// Iterations are those that lost their trajectories; Partitions tells that they were all there were, and went as one.
	Iterations []int `json:"iterations,omitempty"`
	Partitions bool  `json:"partitions,omitempty"`
}

// Empty tells whether the run lost nothing.
func (e Expired) Empty() bool { return len(e.Weights)+len(e.Optimisers)+len(e.Iterations) == 0 }

// Expire gives up what r doesn't keep, beside whatever is being trained, and says of which runs it gave up what; dry gives up nothing.
// What any run reads to go on stays, whatever the settings say; a run that begins to read another meanwhile may come too late. Weights and
// optimisers' states are only marked: [Store.Sweep] deletes content. Who reads what was given up gets [hone.ErrNotFound].
func (s *Store) Expire(ctx context.Context, r Retention, reader Reader, dry bool) ([]Expired, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	runs, err := s.Runs(ctx)
	if err != nil {
		return nil, err
	}
	reads := make(map[hone.RunID]Reads, len(runs))
	for _, p := range runs {
		if reads[p.ID], err = reader(p.Run); err != nil {
			return nil, fmt.Errorf("expire run %s: %w", p.Name, err)
		}
	}
	held := readByOthers(runs, reads)
	var all []Expired
	for _, p := range runs {
		x := expiry{
			store: s, keep: r, run: p.Run, back: reads[p.ID].Back, held: held[p.ID], dry: dry, lost: Expired{Run: p.ID, Name: p.Name},
		}
		if err := x.expire(ctx); err != nil {
			return all, fail(ctx, err, "expire run %s", p.Name)
		}
		if !x.lost.Empty() {
			all = append(all, x.lost)
		}
	}
	return all, nil
}

// Dropped tells when retention took a part of a version; a zero time means that it is there.
type Dropped struct{ Weights, Optimiser time.Time }

// orNothing turns the epoch, as queries write what is not, into zero.
func (d Dropped) orNothing() Dropped {
	for _, t := range []*time.Time{&d.Weights, &d.Optimiser} {
		if t.Unix() == 0 {
			*t = time.Time{}
		}
	}
	return d
}

// DroppedVersions are the versions of a run that have lost something.
func (s *Store) DroppedVersions(ctx context.Context, run hone.RunID) (map[int]Dropped, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT version, coalesce(weights_dropped, 'epoch'), coalesce(optimiser_dropped, 'epoch')
		FROM policy_versions WHERE run_id = $1 AND (weights_dropped IS NOT NULL OR optimiser_dropped IS NOT NULL)`, string(run))
	if err != nil {
		return nil, fail(ctx, err, "versions of run %s", run)
	}
	out := make(map[int]Dropped)
	var version int
	var d Dropped
	_, err = pgx.ForEachRow(rows, []any{&version, &d.Weights, &d.Optimiser}, func() error {
		out[version] = d.orNothing()
		return nil
	})
	return out, fail(ctx, err, "versions of run %s", run)
}

// DroppedIterations are the iterations of a run that have lost their trajectories, each with the time.
func (s *Store) DroppedIterations(ctx context.Context, run hone.RunID) (map[int]time.Time, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT iteration, dropped FROM iterations WHERE run_id = $1 AND dropped IS NOT NULL", string(run))
	if err != nil {
		return nil, fail(ctx, err, "iterations of run %s", run)
	}
	out := make(map[int]time.Time)
	var iteration int
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&iteration, &at}, func() error {
		out[iteration] = at
		return nil
	})
	return out, fail(ctx, err, "iterations of run %s", run)
}

// complete reports a version that retention took something from, with [hone.ErrNotFound]: nothing can go on from it.
func complete(ctx context.Context, q rowQuerier, run hone.RunID, version int) error {
	var at *time.Time
	err := q.QueryRow(ctx, "SELECT coalesce(weights_dropped, optimiser_dropped) FROM policy_versions WHERE run_id = $1 AND version = $2",
		string(run), version).Scan(&at)
	if err == nil && at != nil {
		err = fmt.Errorf("version %d has lost its weights or its optimiser's state to retention (%s): %w",
			version, at.Format(time.RFC3339), hone.ErrNotFound)
	}
	return err
}

// present reports an iteration whose trajectories retention took, with [hone.ErrNotFound].
func present(ctx context.Context, q rowQuerier, run hone.RunID, iteration int) error {
	var at *time.Time
	err := q.QueryRow(ctx, "SELECT dropped FROM iterations WHERE run_id = $1 AND iteration = $2", string(run), iteration).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && at != nil {
		err = fmt.Errorf("its trajectories went by retention (%s): %w", at.Format(time.RFC3339), hone.ErrNotFound)
	}
	return err
}
