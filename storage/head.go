package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Version is all that the next cycle starts from.
type Version struct {
	// Weights and Optimiser name content that is in the blob store already.
	Weights, Optimiser blob.Digest
	// State is everything else that moves with a cycle, such as the KL coefficient and the data cursor: a JSON document, kept byte
	// for byte.
	State json.RawMessage
}

// Manifest is one digest for all of the version: runs that computed the same have the same.
func (v Version) Manifest() blob.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "weights %s\noptimiser %s\nstate %s\n", v.Weights, v.Optimiser, v.State)
	return blob.FromBytes(h.Sum(nil))
}

func (v Version) validate() error {
	if !json.Valid(v.State) {
		return fmt.Errorf("state %q is not JSON: %w", v.State, hone.ErrInvalid)
	}
	return errors.Join(v.Weights.Validate(), v.Optimiser.Validate(), checkText("state", string(v.State)))
}

// equal tells whether both name the same bytes.
func (v Version) equal(w Version) bool {
	return v.Weights == w.Weights && v.Optimiser == w.Optimiser && bytes.Equal(v.State, w.State)
}

// Head is the newest version of a run.
type Head struct {
	// Number is the version's, -1 if there is none; then Version is zero.
	Number int
	// Fence is that of the newest lease, 0 if there was none.
	Fence int64
	Version
}

// Head is the newest version of the run.
func (s *Store) Head(ctx context.Context, run hone.RunID) (Head, error) {
	if _, err := runKey(run); err != nil {
		return Head{}, err
	}
	h, err := readHead(ctx, s.pool, run, "")
	return h, fail(ctx, err, "head of run %s", run)
}

// readHead reads the head; lock is a locking clause or empty.
func readHead(ctx context.Context, q rowQuerier, run hone.RunID, lock string) (h Head, err error) {
	var weights, optimiser []byte
	err = q.QueryRow(ctx, `SELECT coalesce(h.version, -1), h.fence, v.weights, v.optimiser, v.state
		FROM policy_heads h LEFT JOIN policy_versions v ON v.run_id = h.run_id AND v.version = h.version
		WHERE h.run_id = $1 `+lock, string(run)).Scan(&h.Number, &h.Fence, &weights, &optimiser, &h.State)
	if err == nil && h.Number >= 0 {
		h.Weights, h.Optimiser = blob.FromBytes(weights), blob.FromBytes(optimiser)
	}
	return h, err
}

// Version is a published version of the run.
func (s *Store) Version(ctx context.Context, run hone.RunID, number int) (Version, error) {
	if _, err := runKey(run); err != nil {
		return Version{}, err
	}
	v, _, err := readVersion(ctx, s.pool, run, number)
	return v, fail(ctx, err, "version %d of run %s", number, run)
}

// readVersion reads a version and the iteration that made it, -1 for none.
func readVersion(ctx context.Context, q rowQuerier, run hone.RunID, number int) (v Version, iteration int, err error) {
	var weights, optimiser []byte
	err = q.QueryRow(ctx, `SELECT weights, optimiser, state, coalesce(iteration, -1) FROM policy_versions
		WHERE run_id = $1 AND version = $2`, string(run), number).Scan(&weights, &optimiser, &v.State, &iteration)
	v.Weights, v.Optimiser = blob.FromBytes(weights), blob.FromBytes(optimiser)
	return v, iteration, err
}

// AcquireLease makes holder the run's trainer for ttl, by the database's clock, and returns the fence that its commits must
// carry. A lease that another holder has is [hone.ErrConflict]; the same holder may acquire again, and every lease makes the
// fences before it stale. An expired lease keeps its fence until someone else acquires.
func (s *Store) AcquireLease(ctx context.Context, run hone.RunID, holder string, ttl time.Duration) (fence int64, err error) {
	if _, err := runKey(run); err != nil {
		return 0, err
	}
	if holder == "" || ttl <= 0 {
		return 0, fmt.Errorf("lease of run %s for holder %q for %v, want a name and a positive time: %w", run, holder, ttl, hone.ErrInvalid)
	}
	err = fault.Around(ctx, fault.Lease, func() error {
		return s.pool.QueryRow(ctx, `UPDATE policy_heads
			SET fence = fence + 1, holder = $2, lease_until = now() + $3, updated_at = now()
			WHERE run_id = $1 AND (lease_until IS NULL OR lease_until < now() OR holder = $2)
			RETURNING fence`, string(run), holder, ttl).Scan(&fence)
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return fence, fail(ctx, err, "lease run %s", run)
	}
	var other string
	var left time.Duration
	err = s.pool.QueryRow(ctx, "SELECT holder, coalesce(lease_until - now(), '0') FROM policy_heads WHERE run_id = $1", string(run)).
		Scan(&other, &left)
	if err == nil {
		err = fmt.Errorf("%s holds it for another %v: %w", other, left.Round(time.Second), hone.ErrConflict)
	}
	return 0, fail(ctx, err, "lease run %s for %s", run, holder)
}

// PublishFirst makes version 0 the head, with the metrics of what came before the first cycle. Repeating it does nothing;
// another version 0, or a stale fence, is [hone.ErrConflict].
func (s *Store) PublishFirst(ctx context.Context, run hone.RunID, fence int64, first First) error {
	if err := first.validate(); err != nil {
		return fail(ctx, err, "publish version 0 of run %s", run)
	}
	key, err := runKey(run)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, fault.Start, func(tx pgx.Tx) error {
		next := publication{run: run, from: -1, iteration: -1, fence: fence, version: first.Version}
		repeated, err := next.publish(ctx, tx)
		if err != nil || repeated {
			return err
		}
		return writeMetrics(ctx, tx, key, -1, first.Metrics)
	})
	return fail(ctx, err, "publish version 0 of run %s", run)
}

// First is version 0 and what it took to make it.
type First struct {
	Version
	Metrics map[string]float64
}

// publication is one move of the head.
type publication struct {
	run             hone.RunID
	from, iteration int // -1: none
	fence           int64
	version         Version
}

// publish inserts the version after p.from and moves the head to it, or finds that this has been done already. It locks the
// head for the rest of the transaction.
func (p publication) publish(ctx context.Context, tx pgx.Tx) (repeated bool, err error) {
	head, err := readHead(ctx, tx, p.run, "FOR UPDATE OF h")
	if err != nil {
		return false, err
	}
	if head.Number > p.from {
		return true, p.compare(ctx, tx)
	}
	if head.Number != p.from {
		return false, fmt.Errorf("head is version %d, want %d: %w", head.Number, p.from, hone.ErrConflict)
	}
	if head.Fence != p.fence {
		return false, fmt.Errorf("fence %d is stale, another trainer has %d: %w", p.fence, head.Fence, hone.ErrConflict)
	}
	weights, err := p.version.Weights.Bytes()
	if err != nil {
		return false, err
	}
	optimiser, err := p.version.Optimiser.Bytes()
	if err != nil {
		return false, err
	}
	var iteration *int
	if p.iteration >= 0 {
		iteration = &p.iteration
	}
	if _, err := tx.Exec(ctx, `INSERT INTO policy_versions (run_id, version, iteration, weights, optimiser, state)
		VALUES ($1, $2, $3, $4, $5, $6)`, string(p.run), p.from+1, iteration, weights, optimiser, string(p.version.State)); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `UPDATE policy_heads SET version = $2, updated_at = now()
		WHERE run_id = $1 AND coalesce(version, -1) = $3 AND fence = $4`, string(p.run), p.from+1, p.from, p.fence)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("head moved from version %d: %w", p.from, hone.ErrConflict)
	}
	return false, err
}

// compare reports how the version that was published is another than p's.
func (p publication) compare(ctx context.Context, tx pgx.Tx) error {
	stored, iteration, err := readVersion(ctx, tx, p.run, p.from+1)
	if err != nil {
		return err
	}
	if stored.equal(p.version) && iteration == p.iteration {
		return nil
	}
	return fmt.Errorf("version %d was published by another trainer, from iteration %d with manifest %s, not %d with %s: %w",
		p.from+1, iteration, stored.Manifest(), p.iteration, p.version.Manifest(), hone.ErrConflict)
}
