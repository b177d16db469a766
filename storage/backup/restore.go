package backup

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// Target is where a backup is read back to.
type Target struct {
	// URL is the address of an empty database.
	URL   string
	Blobs blob.Store
	// Files is where the files of the backup go, and is created; "" leaves them.
	Files string
}

// List are the names of the backups in dir, the oldest first.
func List(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", manifestName))
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	names := make([]string, len(found))
	for i, name := range found {
		names[i] = filepath.Base(filepath.Dir(name))
	}
	slices.Sort(names)
	return names, nil
}

// Restore reads a backup of dir back: the one of that name, or the newest for "". Every file and all content is checked against its
// digest before it is used. Content and files go first, so that a record is there only with all that it refers to. A restoration that died
// can be repeated, also after its record was there.
func Restore(ctx context.Context, dir, name string, t Target) (Summary, error) {
	names, err := List(dir)
	switch {
	case err != nil:
		return Summary{}, err
	case len(names) == 0:
		return Summary{}, fmt.Errorf("there is no backup in %s: %w", dir, hone.ErrNotFound)
	case name == "":
		name = names[len(names)-1]
	case !slices.Contains(names, name):
		return Summary{}, fmt.Errorf("there is no backup %s in %s; there are %v: %w", name, dir, names, hone.ErrNotFound)
	}
	sum, from := Summary{Name: name}, filepath.Join(dir, name)
	if sum.Manifest, err = load(from); err != nil {
		return sum, err
	}
	for _, table := range sum.Tables {
		sum.Rows += table.Rows
		if err := table.check(from); err != nil {
			return sum, err
		}
	}
	in := storage.Import{Schema: sum.Schema, Open: func(name string) (io.ReadCloser, error) {
		return openPacked(filepath.Join(from, name+extension))
	}}
	for _, table := range sum.Tables {
		in.Tables = append(in.Tables, table.Table)
	}
	if in.Mark, err = digestOf(filepath.Join(from, manifestName)); err != nil {
		return sum, err
	}
	if err := in.Check(ctx, t.URL); err != nil {
		return sum, err
	}
	there, err := blob.OpenDir(filepath.Join(dir, "blobs"))
	if err != nil {
		return sum, err
	}
	if err := sum.copyBlobs(ctx, there, t.Blobs, sum.Blobs); err != nil {
		return sum, fmt.Errorf("restore %s: %w", from, err)
	}
	if t.Files != "" {
		if err := copyFiles(t.Files, filepath.Join(from, "files")); err != nil {
			return sum, fmt.Errorf("restore %s: %w", from, err)
		}
	}
	return sum, in.Import(ctx, t.URL)
}

// copyFiles copies a folder, if it is there, file by file, each as a whole: one that died half-way can be repeated. A file that is there
// with other content is [hone.ErrConflict].
func copyFiles(to, from string) error {
	folder := os.DirFS(from)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if name == "." && errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		want, err := fs.ReadFile(folder, name)
		if err != nil {
			return err //nolint:wrapcheck // it is wrapped below, with the rest
		}
		have, err := os.ReadFile(target)
		switch {
		case err == nil && bytes.Equal(have, want):
			return nil
		case err == nil:
			return fmt.Errorf("file %s is there with other content than in the backup; move it away: %w", target, hone.ErrConflict)
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		part := target + ".part"
		if err := os.WriteFile(part, want, 0o644); err != nil {
			return err
		}
		return os.Rename(part, target)
	})
	if err != nil {
		return fmt.Errorf("copy files: %w", err)
	}
	return nil
}

func load(dir string) (m Manifest, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return m, fmt.Errorf("backup %s: %w", dir, err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%s of backup %s: %w: %w", manifestName, dir, err, hone.ErrCorrupt)
	}
	return m, nil
}

// check holds the table's file against its digest.
func (t Table) check(dir string) error {
	got, err := digestOf(filepath.Join(dir, t.Name+extension))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backup %s: table %s is missing: %w", dir, t.Name, hone.ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("backup %s: %w", dir, err)
	}
	if got != t.Digest {
		return fmt.Errorf("backup %s: table %s has digest %s, want %s: %w", dir, t.Name, got, t.Digest, hone.ErrCorrupt)
	}
	return nil
}

// digestOf is the sha256 of a file, in hex.
func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// unpacked reads a compressed file.
type unpacked struct {
	*gzip.Reader

	file *os.File
}

func openPacked(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return unpacked{r, f}, nil
}

// Close closes both.
func (u unpacked) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }
