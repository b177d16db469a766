package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
)

// Dir is a [Store] in a directory of a local file system:
//
//	path/
//	  sha256/ab/abcd…   the content, by the first byte of its digest and the whole of it
//	  tmp/              content being written; renamed when it is on disk
type Dir struct {
	path string
}

// abandoned is the age at which a file that is being written is taken for left over by a crash.
const abandoned = 24 * time.Hour

// OpenDir makes a store in path, which is created, and removes what crashes left behind long ago.
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("blob directory: %w", err)
	}
	d := &Dir{path: path}
	for _, sub := range []string{d.tmp(), filepath.Join(path, "sha256")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, d.fail("open", err)
		}
	}
	left, err := os.ReadDir(d.tmp())
	if err != nil {
		return nil, d.fail("open", err)
	}
	for _, entry := range left {
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < abandoned {
			continue // its writer may be alive, or has just finished
		}
		if err := os.Remove(filepath.Join(d.tmp(), entry.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, d.fail("clean", err)
		}
	}
	return d, nil
}

func (d *Dir) tmp() string { return filepath.Join(d.path, "tmp") }

func (d *Dir) file(digest Digest) string {
	return filepath.Join(d.path, "sha256", string(digest[:2]), string(digest))
}

// Put implements [Store].
func (d *Dir) Put(ctx context.Context, write func(io.Writer) error) (Digest, int64, error) {
	f, err := os.CreateTemp(d.tmp(), "put-*")
	if err != nil {
		return "", 0, d.fail("put", err)
	}
	sum := &summed{hash: sha256.New(), to: f, ctx: ctx}
	err = sum.fill(write)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	digest := FromBytes(sum.hash.Sum(nil))
	if err == nil {
		err = d.publish(f.Name(), digest)
	}
	if err != nil {
		return "", 0, errors.Join(d.fail("put", err), removeIfThere(f.Name()))
	}
	return digest, sum.size, nil
}

// publish gives the file its name and makes that last.
func (d *Dir) publish(from string, digest Digest) error {
	if err := os.Chmod(from, 0o644); err != nil {
		return err
	}
	to := d.file(digest)
	err := os.Mkdir(filepath.Dir(to), 0o755)
	switch {
	case err == nil:
		if err := syncDir(filepath.Dir(filepath.Dir(to))); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// Open implements [Store]. The content is read twice, the second time from memory where it fits.
func (d *Dir) Open(ctx context.Context, digest Digest) (io.ReadCloser, error) {
	if err := digest.Validate(); err != nil {
		return nil, err
	}
	f, err := os.Open(d.file(digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("blob %s in %s: %w", digest, d.path, hone.ErrNotFound)
	}
	if err != nil {
		return nil, d.fail("open", err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, &interruptible{ctx: ctx, from: f})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(d.fail("read "+string(digest), err), f.Close())
	}
	if got := FromBytes(sum.Sum(nil)); got != digest {
		return nil, errors.Join(fmt.Errorf("blob %s: file %s has digest %s: %w", digest, f.Name(), got, hone.ErrCorrupt), f.Close())
	}
	return f, nil
}

// Delete implements [Store].
func (d *Dir) Delete(_ context.Context, digest Digest) error {
	if err := digest.Validate(); err != nil {
		return err
	}
	if err := removeIfThere(d.file(digest)); err != nil {
		return d.fail("delete "+string(digest), err)
	}
	return nil
}

// List implements [Store].
func (d *Dir) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		files, err := filepath.Glob(filepath.Join(d.path, "sha256", "??", "*"))
		if err != nil {
			yield(Info{}, d.fail("list", err))
			return
		}
		for _, name := range files { // sorted
			info, err := os.Stat(name)
			if errors.Is(err, os.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(Info{}, d.fail("list", err))
				return
			}
			digest := Digest(filepath.Base(name))
			if digest.Validate() != nil {
				continue // not ours
			}
			if !yield(Info{Digest: digest, Size: info.Size(), Stored: info.ModTime()}, nil) {
				return
			}
		}
	}
}

// fail names the place, and says what to do about a full disk.
func (d *Dir) fail(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("blob %s in %s: the disk is full; free some space: %w: %w", doing, d.path, hone.ErrUnavailable, err)
	}
	return fmt.Errorf("blob %s in %s: %w", doing, d.path, err)
}

// summed writes through to a file and keeps the digest and size of what passed.
type summed struct {
	ctx  context.Context // of one call of Put, which this lives no longer than
	hash hash.Hash
	to   io.Writer
	size int64
}

func (s *summed) fill(write func(io.Writer) error) error {
	w := bufio.NewWriterSize(s, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

func (s *summed) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.to.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// interruptible ends when its context does.
type interruptible struct {
	ctx  context.Context // of one call of Open, which this lives no longer than
	from io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
