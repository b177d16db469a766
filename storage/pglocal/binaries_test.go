package pglocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/stretchr/testify/require"
)

// program is a binary that knows its version and nothing else.
func program(version string) string {
	return fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
}

func fakeBinaries(t *testing.T, dir, version string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(program(version)), 0o755))
	}
}

func TestFindPrefersTheHighestVersion(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	root := t.TempDir()
	for _, v := range []string{"9", "16", "17", "18"} {
		fakeBinaries(t, filepath.Join(root, v, "bin"), v+".1 (Debian)")
	}
	require.NoError(t, os.Remove(filepath.Join(root, "18", "bin", "initdb"))) // a client's leftovers
	o := Options{places: []string{filepath.Join(root, "*", "bin")}, Logger: slog.New(slog.DiscardHandler)}

	b, err := find(t.Context(), o, 0)
	require.NoError(t, err)
	require.Equal(t, Binaries{Dir: filepath.Join(root, "17", "bin"), Version: "17.1", Major: 17}, b)

	b, err = find(t.Context(), o, 16)
	require.NoError(t, err, "the version that wrote the data")
	require.Equal(t, 16, b.Major)

	_, err = find(t.Context(), o, 15)
	require.ErrorIs(t, err, hone.ErrConflict)

	_, err = Find(filepath.Join(root, "9", "bin"), "")
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "too old")
}

// archive packs files as npm does, and returns the archive with its digest.
func archive(t *testing.T, files map[string]string) ([]byte, string) {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	sum := sha512.Sum512(b.Bytes())
	return b.Bytes(), base64.StdEncoding.EncodeToString(sum[:])
}

func TestInstallUnpacksAndLinks(t *testing.T) {
	t.Parallel()
	a, digest := archive(t, map[string]string{
		"package/native/bin/postgres":     program("18.4"),
		"package/native/bin/initdb":       program("18.4"),
		"package/native/lib/libpq.so.5.1": "library",
		"package/native/pg-symlinks.json": `[{"source":"native/lib/libpq.so.5.1","target":"native/lib/libpq.so.5"}]`,
		"package/README.md":               "left out",
	})
	cache := t.TempDir()
	b, err := install(a, digest, cache)
	require.NoError(t, err)
	require.Equal(t, 18, b.Major)
	_, err = install(a, digest, cache)
	require.NoError(t, err, "another process was first")
	lib, err := os.ReadFile(filepath.Join(b.Dir, "..", "lib", "libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "library", string(lib))
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestInstallRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	a, _ := archive(t, map[string]string{"package/native/bin/postgres": program("18.4")})
	_, err := install(a, fetchedSHA512, cache)
	require.ErrorIs(t, err, hone.ErrCorrupt)

	outside, digest := archive(t, map[string]string{"package/native/../../../outside": "x"})
	_, err = install(outside, digest, cache)
	require.Error(t, err)

	link, digest := archive(t, map[string]string{"package/native/pg-symlinks.json": `[{"source":"x","target":"native/../../x"}]`})
	_, err = install(link, digest, cache)
	require.Error(t, err)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestFetch gets the real package; set HONE_TEST_FETCH=1 where npm may be used (24 MB).
func TestFetch(t *testing.T) {
	t.Parallel()
	if os.Getenv("HONE_TEST_FETCH") == "" {
		t.Skip("downloads 24 MB; set HONE_TEST_FETCH=1")
	}
	o := Options{Dir: openDir(t), CacheDir: openDir(t), Fast: true, places: []string{}}
	b, err := fetch(t.Context(), o.CacheDir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, 18, b.Major)
	o.BinDir = b.Dir
	s := start(t, o)
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"))
}
