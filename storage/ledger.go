package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// batch is one bulk write, known by a key that names what it is and a digest of what it holds.
type batch struct {
	run    pgtype.UUID
	key    string
	digest []byte
	rows   int
}

// enter notes the batch in the ledger, or finds that it was stored already. It waits for another transaction that is storing
// the same batch. A batch of the same key and other content is [hone.ErrConflict].
func (b batch) enter(ctx context.Context, tx pgx.Tx) (stored bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO ingest_batches (run_id, batch_key, digest, row_count) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, b.run, b.key, b.digest, b.rows)
	if err != nil || tag.RowsAffected() == 1 {
		return false, err
	}
	var digest []byte
	var rows int
	err = tx.QueryRow(ctx, "SELECT digest, row_count FROM ingest_batches WHERE run_id = $1 AND batch_key = $2", b.run, b.key).
		Scan(&digest, &rows)
	if err == nil && !bytes.Equal(digest, b.digest) {
		err = fmt.Errorf("batch %s is stored with other content (%d rows, digest %x; given %d, %x): %w",
			b.key, rows, digest[:4], b.rows, b.digest[:4], hone.ErrConflict)
	}
	return true, err
}

// hasBatch tells whether the batch was stored.
func (s *Store) hasBatch(ctx context.Context, run hone.RunID, key string) (has bool, err error) {
	if _, err := runKey(run); err != nil {
		return false, err
	}
	err = s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ingest_batches WHERE run_id = $1 AND batch_key = $2)", string(run), key).Scan(&has)
	return has, fail(ctx, err, "look for batch %s of run %s", key, run)
}

// digester makes a digest of values in order. Texts and bytes are preceded by their length, so that none runs into the next.
type digester struct {
	h       hash.Hash
	scratch []byte
}

func newDigester() *digester { return &digester{h: sha256.New()} }

func (d *digester) ints(values ...int) {
	for _, v := range values {
		d.uint(uint64(v))
	}
}

func (d *digester) uint(v uint64) {
	d.scratch = binary.LittleEndian.AppendUint64(d.scratch[:0], v)
	d.h.Write(d.scratch)
}

func (d *digester) floats(values ...float64) {
	for _, v := range values {
		d.uint(math.Float64bits(v))
	}
}

func (d *digester) texts(values ...string) {
	for _, v := range values {
		d.uint(uint64(len(v)))
		d.scratch = append(d.scratch[:0], v...)
		d.h.Write(d.scratch)
	}
}

func (d *digester) bytes(v []byte) {
	d.uint(uint64(len(v)))
	d.h.Write(v)
}

func (d *digester) flag(v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	d.uint(n)
}

func (d *digester) sum() []byte { return d.h.Sum(nil) }
