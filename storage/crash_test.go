package storage_test

import (
	"bytes"
	"net"
	"net/url"
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
	start := func() (*pglocal.Server, *storage.Store) {
		server, err := pglocal.Start(t.Context(), pglocal.Options{Dir: dir})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Stop(background(t))) })
		require.NoError(t, server.EnsureDatabase(t.Context(), "hone"))
		s, err := storage.Open(t.Context(), server.URL("hone"), storage.Options{Migrate: true})
		require.NoError(t, err)
		t.Cleanup(s.Close)
		return server, s
	}
	server, s := start()
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

	_, s = start()
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
