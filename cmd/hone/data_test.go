package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// own takes a directory for the test.
func own(t *testing.T, d data, as role) *ownership {
	t.Helper()
	o, joined, err := d.claim(t.Context(), as)
	require.NoError(t, err)
	require.Nil(t, joined)
	require.NotNil(t, o)
	t.Cleanup(o.release)
	return o
}

func TestADirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	d := data{path: t.TempDir()}
	for _, as := range []role{roleTrain, roleServer} {
		o := own(t, d, as)
		require.NoError(t, o.publish(serverRecord{PID: os.Getpid(), Role: as, DatabaseURL: "postgres:///x", TemporalAddress: "here:1"}))
		_, _, err := d.claim(t.Context(), roleServer)
		require.ErrorIs(t, err, hone.ErrConflict)
		require.ErrorContains(t, err, "in use by process")
		require.ErrorContains(t, err, "hone "+string(as))

		_, joined, err := d.claim(t.Context(), roleLook)
		require.NoError(t, err, "who only looks may join")
		require.Equal(t, "here:1", joined.TemporalAddress)
		require.True(t, d.alive(*joined))

		_, joined, err = d.claim(t.Context(), roleTrain)
		if as == roleServer {
			require.NoError(t, err, "servers are for everyone")
			require.NotNil(t, joined)
		} else {
			require.ErrorIs(t, err, hone.ErrConflict)
		}
		o.release()
		o.release()
		require.NoFileExists(t, d.serverFile())
	}
}

func TestAClaimWaitsForWhoOnlyLooks(t *testing.T) {
	t.Parallel()
	d := data{path: t.TempDir()}
	looking := own(t, d, roleLook)
	require.NoError(t, looking.publish(serverRecord{PID: os.Getpid(), Role: roleLook}))
	claimed := make(chan *ownership)
	go func() {
		o, _, _ := d.claim(t.Context(), roleTrain)
		claimed <- o
	}()
	select {
	case <-claimed:
		require.Fail(t, "the directory was in use")
	case <-time.After(3 * claimInterval):
	}
	looking.release()
	o := <-claimed
	require.NotNil(t, o)
	o.release()

	looking = own(t, d, roleLook)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	_, _, err := d.claim(ctx, roleTrain)
	require.ErrorIs(t, err, errInterrupted)
	looking.release()
}

func TestARecordWithoutItsOwnerIsVoid(t *testing.T) {
	t.Parallel()
	d := data{path: t.TempDir()}
	left := own(t, d, roleTrain)
	r := serverRecord{PID: os.Getpid(), Role: roleTrain, TemporalAddress: "gone:1"}
	require.NoError(t, left.publish(r))
	raw, err := os.ReadFile(d.serverFile())
	require.NoError(t, err)
	left.release()
	require.NoError(t, os.WriteFile(d.serverFile(), raw, 0o600)) // as kill -9 leaves it
	require.False(t, d.alive(r))
	_, ok := d.served()
	require.False(t, ok)
	own(t, d, roleTrain)
}

func TestARecordIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	d := data{path: t.TempDir()}
	o := own(t, d, roleServer)
	require.NoError(t, o.publish(serverRecord{DatabaseURL: "postgres://me:secret@db/hone"}))
	info, err := os.Stat(d.serverFile())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NotContains(t, withoutPassword("postgres://me:secret@db/hone"), "secret")
	require.Empty(t, withoutPassword("postgres://me:sec%zz@db"))
}

func TestADirectoryThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	a := &app{dataDir: filepath.Join(file, "below"), getenv: func(string) string { return "" }}
	_, err := a.openData()
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "--data-dir")
}

func TestTheDataDirectoryComesFromFlagEnvironmentOrHome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"HONE_DATA_DIR": filepath.Join(dir, "env")}
	a := &app{getenv: func(name string) string { return env[name] }}
	d, err := a.openData()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "env"), d.path)
	a.dataDir = filepath.Join(dir, "flag")
	d, err = a.openData()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "flag"), d.path)
	if os.Geteuid() != 0 {
		env["HOME"] = dir
		require.Equal(t, filepath.Join(dir, ".local", "share", "hone"), a.defaultDataDir())
		env["XDG_DATA_HOME"] = filepath.Join(dir, "xdg")
		require.Equal(t, filepath.Join(dir, "xdg", "hone"), a.defaultDataDir())
	} else {
		require.Equal(t, "/var/lib/hone", a.defaultDataDir())
	}
}

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, writeFile(path, []byte("one"), 0o600))
	require.NoError(t, writeFile(path, []byte("two"), 0o644))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(text))
	require.Error(t, writeFile(filepath.Join(dir, "none", "file"), nil, 0o600))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
