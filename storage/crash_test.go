package storage_test

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestKilledServerLosesNoAcknowledgedShard kills the server under two writers, starts it again and lets them go on.
func TestKilledServerLosesNoAcknowledgedShard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startDurable(t, dir)
	run, _ := createRun(t, s)
	const shards, size, killAt = 60, 8, 20
	all := trajectories(run, 0, shards*size, 20)
	save := func(s *storage.Store, shard int) error {
		return s.SaveShard(t.Context(), shardOf(run, 0, shard, all[shard*size:(shard+1)*size]))
	}
	var acknowledged [shards]atomic.Bool
	var next atomic.Int32
	var writers errgroup.Group
	for range 2 {
		writers.Go(func() error {
			for {
				shard := int(next.Add(1)) - 1
				if shard >= shards {
					return nil
				}
				if shard == killAt {
					if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
						return err
					}
				}
				if err := save(s, shard); err != nil {
					return err
				}
				acknowledged[shard].Store(true)
			}
		})
	}
	require.ErrorIs(t, writers.Wait(), hone.ErrUnavailable)
	<-server.Done()
	require.NoError(t, server.Stop(t.Context()))

	_, s = startDurable(t, dir)
	n := 0
	for shard := range shards {
		has, err := s.HasShard(t.Context(), storage.ShardKey{Run: run, Shard: shard})
		require.NoError(t, err)
		if acknowledged[shard].Load() {
			n++
			require.True(t, has, "shard %d", shard)
		}
		require.NoError(t, save(s, shard), "again, whether it was stored or not")
	}
	require.GreaterOrEqual(t, n, killAt-2)
	require.Less(t, n, shards)
	got, err := s.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, all, got)
}

// TestFullDiskHarmsNothing lets the disk run full under a writer, makes room and goes on.
func TestFullDiskHarmsNothing(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=0755,size=120m"); err != nil {
		t.Skipf("can't mount a small disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	ballast := filepath.Join(disk, "ballast")
	dir := filepath.Join(disk, "pg")
	server, s := startDurable(t, dir)
	run, _ := createRun(t, s)
	var free syscall.Statfs_t
	require.NoError(t, syscall.Statfs(disk, &free))
	const left = 2 << 20
	require.NoError(t, os.WriteFile(ballast, make([]byte, int64(free.Bavail)*free.Bsize-left), 0o600))

	const size = 32
	all := trajectories(run, 0, 100*size, 200)
	part := func(i int) storage.Shard { return shardOf(run, 0, i, all[i*size:(i+1)*size]) }
	acknowledged, err := 0, error(nil)
	for err == nil && acknowledged < 100 {
		if err = s.SaveShard(t.Context(), part(acknowledged)); err == nil {
			acknowledged++
		}
	}
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.Less(t, acknowledged, 100)

	require.NoError(t, os.Remove(ballast))
	require.NoError(t, server.Stop(t.Context()))
	_, s = startDurable(t, dir)
	require.NoError(t, s.SaveShard(t.Context(), part(acknowledged)))
	got, err := s.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, all[:(acknowledged+1)*size], got)
}

// startDurable runs a server with the settings that hone runs with until the test ends, and opens a store on it.
func startDurable(t testing.TB, dir string) (*pglocal.Server, *storage.Store) {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Options{Dir: dir})
	require.NoError(t, err, "these tests need PostgreSQL: "+pglocal.Install)
	t.Cleanup(func() { require.NoError(t, server.Stop(background(t))) })
	require.NoError(t, server.EnsureDatabase(t.Context(), "hone"))
	s, err := storage.Open(t.Context(), server.URL("hone"), storage.Options{Migrate: true})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return server, s
}

// TestCommitWhoseAnswerIsLostIsStoredOnce cuts the connection at the COMMIT of a shard, before and after the server gets it.
func TestCommitWhoseAnswerIsLostIsStoredOnce(t *testing.T) {
	t.Parallel()
	for _, deliver := range []bool{false, true} {
		address := storagetest.URL(t)
		direct := storagetest.OpenURL(t, address)
		run, _ := createRun(t, direct)
		shard := shardOf(run, 0, 0, trajectories(run, 0, 4, 10))

		through := storagetest.OpenURL(t, cutAtCommit(t, address, deliver))
		require.ErrorIs(t, through.SaveShard(t.Context(), shard), hone.ErrUnavailable)
		require.NoError(t, direct.SaveShard(t.Context(), shard))
		got, err := direct.LoadIteration(t.Context(), run, 0)
		require.NoError(t, err)
		require.Equal(t, shard.Trajectories, got)
	}
}

// cutAtCommit is the address of a proxy to a database that breaks the connection when the client commits, and delivers the
// commit or doesn't.
func cutAtCommit(t *testing.T, address string, deliver bool) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	network, target := "tcp", u.Host
	if host := u.Query().Get("host"); filepath.IsAbs(host) {
		network, target = "unix", filepath.Join(host, ".s.PGSQL."+u.Query().Get("port"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, target)
			if err != nil {
				client.Close()
				return
			}
			go relay(client, server, deliver)
		}
	}()
	q := u.Query()
	q.Del("host")
	q.Del("port")
	u.Host, u.RawQuery = listener.Addr().String(), q.Encode()
	return u.String()
}

// relay passes bytes on until the client commits.
func relay(client, server net.Conn, deliver bool) {
	defer client.Close()
	defer server.Close()
	var muted atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if err != nil || muted.Load() { // the first answer after the commit
				return
			}
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err == nil && bytes.Contains(bytes.ToLower(b[:n]), []byte("commit\x00")) {
			if muted.Store(true); !deliver {
				return
			}
			if _, err := server.Write(b[:n]); err == nil {
				<-done
			}
			return
		}
		if err == nil {
			_, err = server.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}
