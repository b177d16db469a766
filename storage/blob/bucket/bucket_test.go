package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	gcblob "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/blob/bucket"
)

var _ blob.Store = (*bucket.Store)(nil)

// helloDigest is sha256 of "hello\n" as sha256sum prints it, and helloKey the key of it.
const (
	helloDigest = blob.Digest("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
	helloKey    = "sha256/58/" + string(helloDigest)
)

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func read(t *testing.T, s blob.Store, digest blob.Digest) string {
	t.Helper()
	r, err := s.Open(t.Context(), digest)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(got)
}

// machine is a store on one machine, with a cache of its own.
func machine(t *testing.T, b *gcblob.Bucket, cacheBytes int64) *bucket.Store {
	t.Helper()
	near, err := blob.OpenCache(t.TempDir(), cacheBytes)
	require.NoError(t, err)
	return bucket.New(b, "test://bucket", near)
}

// buckets are those that need no server.
func buckets(t *testing.T) map[string]*gcblob.Bucket {
	t.Helper()
	files, err := fileblob.OpenBucket(t.TempDir(), &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	require.NoError(t, err)
	return map[string]*gcblob.Bucket{"memory": memblob.OpenBucket(nil), "files": files}
}

func TestStoreKeepsItsContract(t *testing.T) {
	t.Parallel()
	for name, b := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, b)
		})
	}
}

// conform holds a store over the bucket to what package blob promises, on two machines.
func conform(t *testing.T, b *gcblob.Bucket) {
	t.Helper()
	here, there := machine(t, b, 1<<20), machine(t, b, 1<<20)
	_, err := there.Open(t.Context(), helloDigest)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, string(helloDigest))

	digest, size, err := here.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	require.Equal(t, helloDigest, digest)
	require.EqualValues(t, 6, size)
	require.Equal(t, "hello\n", read(t, here, helloDigest))
	require.Equal(t, "hello\n", read(t, there, helloDigest))

	broken := errors.New("broken")
	_, _, err = here.Put(t.Context(), func(w io.Writer) error {
		_, err := w.Write(make([]byte, 3<<20))
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)

	want := []blob.Digest{helloDigest}
	for i := range 3 {
		digest, _, err := there.Put(t.Context(), content(fmt.Sprint(i)))
		require.NoError(t, err)
		want = append(want, digest)
	}
	slices.Sort(want)
	require.NoError(t, b.WriteAll(t.Context(), "sha256/58/not-ours", []byte("x"), nil))
	var got []blob.Digest
	for info, err := range here.List(t.Context()) {
		require.NoError(t, err)
		require.NotZero(t, info.Size)
		require.False(t, info.Stored.IsZero())
		got = append(got, info.Digest)
	}
	require.Equal(t, want, got, "what failed left nothing, and what is not ours is not listed")

	require.NoError(t, here.Delete(t.Context(), helloDigest))
	require.NoError(t, here.Delete(t.Context(), helloDigest), "again")
	_, err = here.Open(t.Context(), helloDigest)
	require.ErrorIs(t, err, hone.ErrNotFound)
	for _, bad := range []blob.Digest{"", "58", "../../etc/passwd"} {
		_, err := here.Open(t.Context(), bad)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorIs(t, here.Delete(t.Context(), bad), hone.ErrInvalid)
	}
}

func TestDamageUpstreamIsNoticedAndMended(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	here := machine(t, b, 1<<20)
	require.NoError(t, b.WriteAll(t.Context(), helloKey, []byte("jello\n"), nil))
	_, err := here.Open(t.Context(), helloDigest)
	require.ErrorIs(t, err, hone.ErrCorrupt)
	require.ErrorContains(t, err, "test://bucket")
	require.ErrorContains(t, err, string(helloDigest))
	_, _, err = here.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	require.Equal(t, "hello\n", read(t, machine(t, b, 0), helloDigest), "also by a cache that holds nothing for long")
}

// TestContentIsFetchedOncePerMachine counts what leaves the bucket, by taking it away.
func TestContentIsFetchedOncePerMachine(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	_, _, err := machine(t, b, 1<<20).Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	here := machine(t, b, 1<<20)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			r, err := here.Open(t.Context(), helloDigest)
			if err != nil {
				return err
			}
			return r.Close()
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, b.Delete(t.Context(), helloKey))
	require.Equal(t, "hello\n", read(t, here, helloDigest), "it is on the machine")
}

func TestFetchOfOneThatStopsIsTakenUpByTheOthers(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	_, _, err := machine(t, b, 1<<20).Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	for range 20 {
		here := machine(t, b, 1<<20)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			r, err := here.Open(ctx, helloDigest)
			if err == nil {
				_ = r.Close()
			}
		})
		cancel()
		require.Equal(t, "hello\n", read(t, here, helloDigest))
		group.Wait()
	}
}
