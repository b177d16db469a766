// Package bucket keeps content in an object store that many machines reach, behind a cache on the machine's own disk: what was fetched once
// is read from there, and what is written goes there and up.
//
// Package blob says what a store promises. This package knows the protocols (S3, Google Cloud Storage, Azure), through gocloud.dev.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	gcblob "gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/singleflight"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
)

// Store is a [blob.Store] in a bucket, whose keys are sha256/ab/abcd…, as [blob.Dir] names its files.
type Store struct {
	bucket *gcblob.Bucket
	near   *blob.Cache
	// name says which bucket, in errors.
	name string
	// fetches has one download of a digest at a time.
	fetches singleflight.Group
}

// New is a store in a bucket, which Close closes, behind the cache near.
func New(bucket *gcblob.Bucket, name string, near *blob.Cache) *Store {
	return &Store{bucket: bucket, near: near, name: name}
}

// Close ends the connection.
func (s *Store) Close() error { return s.fail("close", s.bucket.Close()) }

func key(digest blob.Digest) string { return "sha256/" + string(digest[:2]) + "/" + string(digest) }

// Put implements [blob.Store]. What is there is written again, since only that mends it.
func (s *Store) Put(ctx context.Context, write func(io.Writer) error) (digest blob.Digest, size int64, err error) {
	if digest, size, err = s.near.Put(ctx, write); err != nil {
		return "", 0, err
	}
	r, err := s.near.Open(ctx, digest)
	if errors.Is(err, hone.ErrNotFound) {
		err = fmt.Errorf("blob %s went from the cache before it was stored in %s: %w", digest, s.name, hone.ErrUnavailable)
	}
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// One object appears as a whole or not at all, in each of these stores.
	err = fault.Around(ctx, fault.Blob, func() error {
		return s.bucket.Upload(ctx, key(digest), r, &gcblob.WriterOptions{ContentType: "application/octet-stream"})
	})
	return digest, size, s.fail("put "+string(digest), err)
}

// Open implements [blob.Store]. The content is fetched where the cache doesn't have it, or has it damaged.
func (s *Store) Open(ctx context.Context, digest blob.Digest) (io.ReadCloser, error) {
	r, err := s.near.Open(ctx, digest)
	for err != nil && (errors.Is(err, hone.ErrNotFound) || errors.Is(err, hone.ErrCorrupt)) {
		_, err, _ = s.fetches.Do(string(digest), func() (any, error) { return nil, s.fetch(ctx, digest) })
		switch {
		case errors.Is(err, context.Canceled) && ctx.Err() == nil:
			err = hone.ErrNotFound // who fetched it was told to stop, and this call was not
			continue
		case err != nil:
			return nil, err
		}
		if r, err = s.near.Open(ctx, digest); errors.Is(err, hone.ErrNotFound) {
			return nil, fmt.Errorf("blob %s of %s went from the cache at once: %w", digest, s.name, hone.ErrUnavailable)
		}
	}
	return r, err
}

// fetch puts the content into the cache, if it is what it is called.
func (s *Store) fetch(ctx context.Context, digest blob.Digest) error {
	r, err := s.bucket.NewReader(ctx, key(digest), nil)
	if err != nil {
		return s.fail("open "+string(digest), err)
	}
	got, _, err := s.near.Put(ctx, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return s.fail("read "+string(digest), err)
	})
	if err = errors.Join(err, r.Close()); err != nil || got == digest {
		return err
	}
	return errors.Join(fmt.Errorf("blob %s: %s has content with digest %s: %w", digest, s.name, got, hone.ErrCorrupt), s.near.Delete(ctx, got))
}

// Delete implements [blob.Store].
func (s *Store) Delete(ctx context.Context, digest blob.Digest) error {
	if err := digest.Validate(); err != nil {
		return err
	}
	err := s.bucket.Delete(ctx, key(digest))
	if gcerrors.Code(err) == gcerrors.NotFound {
		err = nil
	}
	return errors.Join(s.fail("delete "+string(digest), err), s.near.Delete(ctx, digest))
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for list := s.bucket.List(&gcblob.ListOptions{Prefix: "sha256/"}); ; { // in the order of keys
			object, err := list.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(blob.Info{}, s.fail("list", err))
				return
			}
			digest := blob.Digest(path.Base(object.Key))
			if digest.Validate() != nil || key(digest) != object.Key {
				continue // not ours
			}
			if !yield(blob.Info{Digest: digest, Size: object.Size, Stored: object.ModTime}, nil) {
				return
			}
		}
	}
}

// fail names the bucket and wraps the sentinel that fits. What isn't known to be for good may go away by itself.
func (s *Store) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	sentinel := hone.ErrUnavailable
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		sentinel = hone.ErrNotFound
	case gcerrors.Canceled:
		sentinel = context.Canceled
	case gcerrors.DeadlineExceeded:
		sentinel = context.DeadlineExceeded
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		sentinel = hone.ErrInvalid
	default:
	}
	return fmt.Errorf("blob %s in %s: %w: %w", strings.TrimSpace(doing), s.name, sentinel, err)
}
