package pglocal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// ownerEnv makes the test binary an owner of a server in the named directory, to be killed.
const ownerEnv = "HONE_PGLOCAL_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		own(dir)
	}
	cache, err := os.MkdirTemp("", "hone-pglocal-cache-")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("HONE_PGLOCAL_CACHE", cache); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(cache); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// own runs a server, tells its process id and waits to be killed.
func own(dir string) {
	s, err := Start(context.Background(), options(dir))
	if err != nil {
		fmt.Println(err)
		os.Exit(1) //nolint:revive // deep-exit: this is the main of a child process
	}
	fmt.Println(s.PID())
	select {}
}

// options are for a quick server in dir; the cluster is copied from one that the tests of this package share.
func options(dir string) Options {
	return Options{Dir: dir, Fast: true, InitCache: os.Getenv("HONE_PGLOCAL_CACHE")}
}

// start runs a server until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	require.NoError(t, err, "these tests need PostgreSQL: "+Install)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// openDir is a directory that every account may pass through, which t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hone-pglocal-") //nolint:usetesting // the parent of t.TempDir is closed to others
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "pg")
}
