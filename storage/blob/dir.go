package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
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
		if digest, ok := strings.CutPrefix(entry.Name(), asidePrefix); ok && Digest(digest).Validate() == nil {
			if err := d.putBack(Digest(digest)); err != nil {
				return nil, d.fail("put back", err)
			}
			continue
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
	digest, size, err := fill(ctx, f, write)
	if err = errors.Join(err, f.Close()); err == nil {
		err = fault.Around(ctx, fault.Blob, func() error { return d.publish(f.Name(), digest) })
	}
	if err != nil {
		return "", 0, errors.Join(d.fail("put", err), removeIfThere(f.Name()))
	}
	return digest, size, nil
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
	if errors.Is(err, os.ErrNotExist) && d.putBack(digest) == nil {
		f, err = os.Open(d.file(digest))
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("blob %s in %s: %w", digest, d.path, hone.ErrNotFound)
	}
	if err != nil {
		return nil, d.fail("open", err)
	}
	got, err := digestOf(ctx, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(d.fail("read "+string(digest), err), f.Close())
	}
	if got != digest {
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

// writerFunc and readerFunc are streams that are one function, which may see the call's context.
type (
	writerFunc func(p []byte) (int, error)
	readerFunc func(p []byte) (int, error)
)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
func (f readerFunc) Read(p []byte) (int, error)  { return f(p) }

// fill writes to the file until ctx ends, and tells the digest and size of what was written.
func fill(ctx context.Context, f *os.File, write func(io.Writer) error) (Digest, int64, error) {
	sum, size := sha256.New(), int64(0)
	w := bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := f.Write(p)
		sum.Write(p[:n])
		size += int64(n)
		return n, err
	}), 1<<20)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return FromBytes(sum.Sum(nil)), size, err
}

// digestOf reads the file from its beginning until ctx ends.
func digestOf(ctx context.Context, f *os.File) (Digest, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return f.Read(p)
	}))
	return FromBytes(sum.Sum(nil)), err
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
