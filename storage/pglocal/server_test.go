package pglocal

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func connect(t *testing.T, s *Server, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL(database))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestServerKeepsItsDataOverARestart(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir()) // as root: a directory that only root can enter
	s := start(t, o)
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"))
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"), "again")
	_, err := connect(t, s, "hone").Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	require.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, s.Stop(t.Context()), "again")

	var n int
	again := start(t, o)
	require.NoError(t, connect(t, again, "hone").QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n))
	require.Equal(t, 42, n)
}

func TestDurableServerIsTheDefault(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: openDir(t)}) // as root: a directory that the account postgres reaches
	var fsync, pages, commit, tcp, checksums string
	err := connect(t, s, "postgres").QueryRow(t.Context(), `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('listen_addresses'), current_setting('data_checksums')`).
		Scan(&fsync, &pages, &commit, &tcp, &checksums)
	require.NoError(t, err)
	require.Equal(t, []string{"on", "on", "on", "", "on"}, []string{fsync, pages, commit, tcp, checksums})
	info, err := os.Stat(s.Host())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestSecondOwnerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	start(t, o)
	begin := time.Now()
	_, err := Start(t.Context(), o)
	require.ErrorIs(t, err, hone.ErrConflict)
	require.ErrorContains(t, err, o.Dir)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", os.Getpid()))
	require.Less(t, time.Since(begin), time.Second)
}

func TestKillingTheOwnerLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner, pid := startOwner(t, dir)
	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	require.Eventually(t, func() bool { return !runsOn(pid, filepath.Join(dir, "data")) }, 10*time.Second, 10*time.Millisecond)
	s := start(t, options(dir))
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"))
}

// startOwner runs this test binary as the owner of a server and returns the server's process id.
func startOwner(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	return cmd, pid
}

func TestStartTakesAnOrphanOver(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	orphan := start(t, o)
	orphan.lock.release() // as the kernel does for an owner that died
	s := start(t, o)
	<-orphan.Done()
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"))
}

func TestKillingTheServerLosesNoCommit(t *testing.T) {
	t.Parallel()
	o := Options{Dir: openDir(t)}
	s := start(t, o)
	conn := connect(t, s, "postgres")
	_, err := conn.Exec(t.Context(), "CREATE TABLE acknowledged (n int PRIMARY KEY, padding text)")
	require.NoError(t, err)
	acknowledged := 0
	for err == nil {
		if acknowledged == 50 {
			require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
		}
		_, err = conn.Exec(t.Context(), "INSERT INTO acknowledged VALUES ($1, repeat('x', 2000))", acknowledged)
		if err == nil {
			acknowledged++
		}
	}
	<-s.Done()
	require.NoError(t, s.Stop(t.Context()))

	var n int
	again := start(t, o)
	require.NoError(t, connect(t, again, "postgres").QueryRow(t.Context(),
		"SELECT count(*) FROM acknowledged WHERE n < $1", acknowledged).Scan(&n))
	require.Equal(t, acknowledged, n)
}

func TestSocketMovesWhereThePathIsTooLong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	s := start(t, options(dir))
	require.True(t, strings.HasPrefix(s.Host(), "/tmp/hone-"), s.Host())
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(s.Host())) })
	require.NoError(t, s.EnsureDatabase(t.Context(), "hone"))
}

func TestStartHonoursItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := options(t.TempDir())
	o.InitCache = ""
	_, err := Start(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, filepath.Join(o.Dir, "init.tmp"))
	start(t, options(o.Dir))
}
