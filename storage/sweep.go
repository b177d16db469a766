package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// reachable is all content that the record refers to and has not given up.
const reachable = `SELECT weights FROM policy_versions WHERE weights_dropped IS NULL
	UNION SELECT optimiser FROM policy_versions WHERE optimiser_dropped IS NULL
	UNION SELECT problems FROM publications WHERE problems IS NOT NULL
	UNION SELECT decode(config ->> 'problems', 'hex') FROM runs WHERE config ->> 'problems' <> ''
	UNION SELECT decode(substring(mode from 'value=([0-9a-f]{64})'), 'hex') FROM evaluations WHERE mode ~ 'value=[0-9a-f]{64}'
	UNION SELECT decode(substr(model #>> '{}', 6), 'hex')
		FROM (SELECT config FROM runs UNION ALL SELECT config FROM scorings UNION ALL SELECT new::jsonb FROM changes) c,
			jsonb_path_query(config, '$.**.model') model
		WHERE model #>> '{}' ~ '^blob:[0-9a-f]{64}$'`

// Reachable are the digests of all content that the record needs.
func (s *Store) Reachable(ctx context.Context) ([]blob.Digest, error) {
	all, err := readDigests(ctx, s.pool, reachable)
	return all, fail(ctx, err, "list what the record needs")
}

// Swept is what was found in a blob store.
type Swept struct {
	// Kept is content that the record needs, Young such that nobody needs but that is not old enough.
	Kept  int `json:"kept"`
	Young int `json:"young"`
	// Deleted is what was given up, or would be, and Bytes its size.
	Deleted []blob.Digest `json:"deleted,omitempty"`
	Bytes   int64         `json:"bytes"`
}

// sweepChunk is how many blobs are deleted while commits wait.
const sweepChunk = 16

// Sweep deletes the content of a blob store that the record doesn't need and that was put before a time, beside whatever puts and commits.
// Content is put before the record refers to it, so before must lie further back than the longest update takes. Only one sweep or backup
// of a database is under way at a time: the others' error is [hone.ErrConflict].
func (s *Store) Sweep(ctx context.Context, blobs blob.Store, before time.Time, dry bool) (w Swept, err error) {
	release, err := s.holdBlobs(ctx, true)
	if err != nil {
		return w, err
	}
	defer release()
	known, err := s.Reachable(ctx)
	if err != nil {
		return w, err
	}
	slices.Sort(known)
	var old []blob.Info
	for info, err := range blobs.List(ctx) {
		if err != nil {
			return w, err
		}
		switch _, needed := slices.BinarySearch(known, info.Digest); {
		case needed:
			w.Kept++
		case !info.Stored.Before(before):
			w.Young++
		default:
			old = append(old, info)
		}
	}
	if dry {
		for _, info := range old {
			w.Deleted, w.Bytes = append(w.Deleted, info.Digest), w.Bytes+info.Size
		}
		return w, nil
	}
	for chunk := range slices.Chunk(old, sweepChunk) {
		if err := s.sweep(ctx, blobs, chunk, before, &w); err != nil {
			return w, fail(ctx, err, "sweep blobs")
		}
	}
	return w, nil
}

// sweep deletes those of a few that still nobody needs. While it does, nothing can be committed.
func (s *Store) sweep(ctx context.Context, blobs blob.Store, old []blob.Info, before time.Time, w *Swept) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE policy_versions IN SHARE MODE"); err != nil {
			return err
		}
		needed, err := readDigests(ctx, tx, reachable)
		if err != nil {
			return err
		}
		slices.Sort(needed)
		for _, info := range old {
			if _, back := slices.BinarySearch(needed, info.Digest); back {
				w.Kept++
				continue
			}
			var deleted bool
			err := fault.Around(ctx, fault.Sweep, func() (err error) {
				deleted, err = blob.DeleteOlder(ctx, blobs, info.Digest, before)
				return err
			})
			switch {
			case err != nil:
				return err
			case deleted:
				w.Deleted, w.Bytes = append(w.Deleted, info.Digest), w.Bytes+info.Size
			default:
				w.Young++ // put again meanwhile
			}
		}
		return nil
	})
}

// blobsLock is the advisory lock of who deletes content, alone, and of who copies it, beside others.
const blobsLock = 0x686f6e62 // "honb"

// errHeld is what a sweep finds that can't begin.
var errHeld = errors.New("another sweep or a backup is under way")

// holdBlobs keeps sweeps away until release is called; alone keeps everyone else away too.
func (s *Store) holdBlobs(ctx context.Context, alone bool) (release func(), err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fail(ctx, err, "hold blobs")
	}
	try, unlock := "SELECT pg_try_advisory_lock_shared($1)", "SELECT pg_advisory_unlock_shared($1)"
	if alone {
		try, unlock = "SELECT pg_try_advisory_lock($1)", "SELECT pg_advisory_unlock($1)"
	}
	var held bool
	if err = conn.QueryRow(ctx, try, int64(blobsLock)).Scan(&held); err == nil && !held {
		err = fmt.Errorf("%w: %w", errHeld, hone.ErrConflict)
	}
	if err != nil {
		conn.Release()
		return nil, fail(ctx, err, "hold blobs")
	}
	return func() {
		ctx := context.WithoutCancel(ctx)
		if _, err := conn.Exec(ctx, unlock, int64(blobsLock)); err != nil {
			_ = conn.Conn().Close(ctx) // the lock is the connection's, and ends with it
		}
		conn.Release()
	}, nil
}

func readDigests(ctx context.Context, q querier, query string) ([]blob.Digest, error) {
	rows, err := q.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (blob.Digest, error) {
		var sum []byte
		err := row.Scan(&sum)
		return blob.FromBytes(sum), err
	})
}
