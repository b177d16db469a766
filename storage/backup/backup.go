package backup

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
)

// Manifest is backup.json.
type Manifest struct {
	// Program is the version of hone that wrote it, Schema that of the database.
	Program string    `json:"program"`
	Schema  int64     `json:"schema"`
	Created time.Time `json:"created"`
	Tables  []Table   `json:"tables"`
	// Blobs are all that the versions of the backup refer to, in order.
	Blobs []blob.Digest `json:"blobs"`
}

// Table is a table in a file.
type Table struct {
	storage.Table

	// Digest is the sha256 of the file, in hex.
	Digest string `json:"digest"`
}

// Source is what to back up.
type Source struct {
	Store *storage.Store
	Blobs blob.Store
	// Files is a folder that is copied as it is; "" is none.
	Files string
	// Program is the version of hone, Now the time of the backup, by which it is named.
	Program string
	Now     time.Time
}

// Summary is what a backup or a restoration did.
type Summary struct {
	// Name is the backup's folder.
	Name     string `json:"name"`
	Manifest `json:"-"`
	Rows     int64 `json:"rows"`
	// Copied are the blobs that weren't there already, and Bytes their size.
	Copied int   `json:"copied"`
	Bytes  int64 `json:"bytes"`
}

// stamp is the form of a backup's name.
const stamp = "20060102T150405Z"

// Write makes a backup in dir, which is created. One that fails or dies leaves a folder without backup.json, which is no backup and may be
// removed, and nothing that a later one minds: content that it has copied is not copied again.
func Write(ctx context.Context, s Source, dir string) (Summary, error) {
	sum := Summary{Name: s.Now.UTC().Format(stamp)}
	to := filepath.Join(dir, sum.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return sum, fmt.Errorf("backup: %w", err)
	}
	if err := os.Mkdir(to, 0o755); errors.Is(err, os.ErrExist) {
		return sum, fmt.Errorf("backup %s exists already: %w", to, hone.ErrConflict)
	} else if err != nil {
		return sum, fmt.Errorf("backup: %w", err)
	}
	there, err := blob.OpenDir(filepath.Join(dir, "blobs"))
	if err != nil {
		return sum, err
	}
	digests := make(map[string]string)
	m := Manifest{Program: s.Program, Schema: storage.SchemaVersion(), Created: s.Now.UTC()}
	tables, err := s.Store.Export(ctx, storage.Export{
		Table: func(name string) (io.WriteCloser, error) {
			return newPacked(filepath.Join(to, name+extension), func(digest string) { digests[name] = digest })
		},
		Content: func(ctx context.Context, needed []blob.Digest) error {
			m.Blobs = needed
			slices.Sort(m.Blobs)
			return sum.copyBlobs(ctx, s.Blobs, there, m.Blobs)
		},
	})
	if err != nil {
		return sum, fmt.Errorf("backup %s: %w", to, err)
	}
	for _, t := range tables {
		sum.Rows += t.Rows
		m.Tables = append(m.Tables, Table{t, digests[t.Name]})
	}
	if s.Files != "" {
		if err := os.CopyFS(filepath.Join(to, "files"), os.DirFS(s.Files)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return sum, fmt.Errorf("backup %s: %w", to, err)
		}
	}
	sum.Manifest = m
	return sum, fault.Around(ctx, fault.Backup, func() error { return m.save(to) })
}

// copyBlobs puts content into a store that lacks it.
func (s *Summary) copyBlobs(ctx context.Context, from, to blob.Store, needed []blob.Digest) error {
	has := make(map[blob.Digest]bool)
	for info, err := range to.List(ctx) {
		if err != nil {
			return err
		}
		has[info.Digest] = true
	}
	for _, digest := range needed {
		if has[digest] {
			continue
		}
		size, err := copyBlob(ctx, from, to, digest)
		if err != nil {
			return err
		}
		s.Copied, s.Bytes = s.Copied+1, s.Bytes+size
	}
	return nil
}

func copyBlob(ctx context.Context, from, to blob.Store, digest blob.Digest) (size int64, err error) {
	r, err := from.Open(ctx, digest)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	_, size, err = to.Put(ctx, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
	return size, err
}

// save writes the manifest as a whole, after all that it names is on disk.
func (m Manifest) save(dir string) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	part := filepath.Join(dir, "."+manifestName)
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(part, filepath.Join(dir, manifestName))
	}
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if err == nil {
			err = syncDir(folder)
		}
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// syncDir makes the names in a folder last.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const (
	manifestName = "backup.json"
	extension    = ".copy.gz"
)

// packed writes a file compressed, and tells its digest when it is closed.
type packed struct {
	*gzip.Writer

	file *os.File
	sum  hash.Hash
	tell func(digest string)
}

func newPacked(name string, tell func(digest string)) (*packed, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	p := &packed{file: f, sum: sha256.New(), tell: tell}
	if p.Writer, err = gzip.NewWriterLevel(io.MultiWriter(f, p.sum), gzip.BestSpeed); err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	return p, nil
}

// Close makes the file last.
func (p *packed) Close() error {
	err := errors.Join(p.Writer.Close(), p.file.Sync(), p.file.Close())
	p.tell(hex.EncodeToString(p.sum.Sum(nil)))
	return err
}
