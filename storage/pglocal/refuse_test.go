package pglocal

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/stretchr/testify/require"
)

func TestOtherMajorVersionIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := filepath.Join(dir, "data", "PG_VERSION")
	require.NoError(t, os.MkdirAll(filepath.Dir(version), 0o700))
	require.NoError(t, os.WriteFile(version, []byte("9\n"), 0o600))
	_, err := Start(t.Context(), options(dir))
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, "written by PostgreSQL 9")
	kept, err := os.ReadFile(version)
	require.NoError(t, err)
	require.Equal(t, "9\n", string(kept))
}

func TestForeignDataDirectoryIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "data", "thesis.txt")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err := Start(t.Context(), options(dir))
	require.ErrorIs(t, err, hone.ErrCorrupt)
	require.ErrorContains(t, err, "not a PostgreSQL data directory")
	require.FileExists(t, file)
}

func TestUnusableDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{filepath.Join(file, "pg"), "/proc/hone"} {
		_, err := Start(t.Context(), options(dir))
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, dir)
	}
	_, err := Start(t.Context(), Options{})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestFullDiskIsNamedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"100k", "20m"} { // too small for the binaries' first files; for the whole cluster
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
			t.Skipf("can't mount a small disk: %v", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
		_, err := Start(t.Context(), Options{Dir: dir, Fast: true})
		require.ErrorIs(t, err, hone.ErrUnavailable)
		require.ErrorContains(t, err, "the disk is full")
		require.ErrorContains(t, err, dir)
		require.NoDirExists(t, filepath.Join(dir, "data"))
		require.NoDirExists(t, filepath.Join(dir, "init.tmp"))
	}
}

func TestNoBinariesNamesTheLineToType(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o := options(t.TempDir())
	o.places = []string{filepath.Join(t.TempDir(), "*")}
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, "apt-get install -y postgresql")
	o.BinDir = t.TempDir()
	_, err = Start(t.Context(), o)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, o.BinDir)
}

func TestStrangerSocketDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "run")))
	_, err := Start(t.Context(), options(dir))
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "belongs to someone else")
}

func TestReachable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another account")
	}
	dir := openDir(t)
	require.NoError(t, os.Mkdir(dir, 0o711))
	stranger := account{uid: 54321, gid: 54321}
	require.True(t, reachable(dir, stranger))
	require.NoError(t, os.Chmod(dir, 0o700))
	require.False(t, reachable(dir, stranger))
	require.False(t, reachable(filepath.Join(dir, strconv.Itoa(1)), stranger))
}
