// Package blob keeps large immutable content, such as weights, under the sha256 of its bytes. Equal content is stored once, a
// name says what it must contain, and what was damaged is noticed before it is used.
//
// The package knows nothing of what the content means or who refers to it: [Store.List] and [Store.Delete] are there for whoever
// collects what nobody refers to.
package blob

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/hone-rl/hone"
)

// Digest names content: its sha256 in 64 lower-case hexadecimal digits.
type Digest string

// Validate reports a digest that is none, with [hone.ErrInvalid].
func (d Digest) Validate() error {
	const size = 64
	if len(d) != size {
		return fmt.Errorf("digest %q has %d characters, want %d: %w", string(d), len(d), size, hone.ErrInvalid)
	}
	for _, c := range d {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("digest %q is not lower-case hexadecimal: %w", string(d), hone.ErrInvalid)
		}
	}
	return nil
}

// Bytes is the 32 bytes that a valid digest stands for.
func (d Digest) Bytes() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(string(d))
	if err != nil {
		return nil, fmt.Errorf("digest %q: %w: %w", string(d), hone.ErrInvalid, err)
	}
	return b, nil
}

// FromBytes is the digest of 32 bytes.
func FromBytes(sum []byte) Digest { return Digest(hex.EncodeToString(sum)) }

// Info is what a store knows of one content without reading it.
type Info struct {
	Digest Digest
	// Size is in bytes.
	Size int64
	// Stored is when it was last put.
	Stored time.Time
}

// Store keeps content. Any number of goroutines and processes may use one place at once. When Put has returned, the content
// survives a crash of the machine.
type Store interface {
	// Put stores what write writes, and returns its digest and size. If write fails nothing is stored, and its error is wrapped.
	// Putting what is there already succeeds, and mends it if it was damaged. A full disk is [hone.ErrUnavailable].
	Put(ctx context.Context, write func(io.Writer) error) (Digest, int64, error)
	// Open returns the content after checking all of it against the digest, so that a caller may use what it reads at once.
	// [hone.ErrNotFound] if it isn't there, [hone.ErrCorrupt] if it is damaged; both name the digest.
	Open(ctx context.Context, d Digest) (io.ReadCloser, error)
	// Delete removes content. Deleting what isn't there succeeds.
	Delete(ctx context.Context, d Digest) error
	// List goes over all content in the order of digests. It ends after the first error.
	List(ctx context.Context) iter.Seq2[Info, error]
}
