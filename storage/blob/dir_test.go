package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

var _ blob.Store = (*blob.Dir)(nil)

// helloDigest is sha256 of "hello\n" as sha256sum prints it.
const helloDigest = blob.Digest("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func open(t *testing.T) (*blob.Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := blob.OpenDir(path)
	require.NoError(t, err)
	return d, path
}

// files are all files under path, relative to it.
func files(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(path, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, err := filepath.Rel(path, name)
			require.NoError(t, err)
			all = append(all, rel)
		}
		return err
	}))
	return all
}

func TestPutStoresContentOnceUnderItsDigest(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			digest, size, err := d.Put(t.Context(), content("hello\n"))
			if digest != helloDigest || size != 6 {
				return errors.Join(err, fmt.Errorf("got %s of %d bytes", digest, size))
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, []string{"sha256/58/" + string(helloDigest)}, files(t, path))

	r, err := d.Open(t.Context(), helloDigest)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "hello\n", string(got))
}

func TestOpenRefusesDamagedContentAndPutMendsIt(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	_, _, err := d.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	file := filepath.Join(path, "sha256", "58", string(helloDigest))
	for _, damage := range []string{"jello\n", "hello", ""} {
		require.NoError(t, os.WriteFile(file, []byte(damage), 0o600))
		_, err = d.Open(t.Context(), helloDigest)
		require.ErrorIs(t, err, hone.ErrCorrupt)
		require.ErrorContains(t, err, string(helloDigest))
		require.ErrorContains(t, err, file)
	}
	_, _, err = d.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	r, err := d.Open(t.Context(), helloDigest)
	require.NoError(t, err)
	require.NoError(t, r.Close())
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	broken := errors.New("broken")
	_, _, err := d.Put(t.Context(), func(w io.Writer) error {
		_, err := w.Write(make([]byte, 3<<20))
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = d.Put(ctx, content("hello\n"))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, files(t, path))
}

func TestFullDiskIsNamedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("can't mount a small disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(path, 0)) })
	d, err := blob.OpenDir(path)
	require.NoError(t, err)
	_, _, err = d.Put(t.Context(), func(w io.Writer) error {
		_, err := w.Write(make([]byte, 3<<20))
		return err
	})
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "disk is full")
	require.Empty(t, files(t, path))
	_, _, err = d.Put(t.Context(), content("hello\n"))
	require.NoError(t, err, "the space was given back")
}

func TestMissingAndMalformedDigests(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	_, err := d.Open(t.Context(), helloDigest)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, string(helloDigest))
	for _, bad := range []blob.Digest{"", "58", "../../../../etc/passwd", helloDigest + "0", "X" + helloDigest[1:]} {
		_, err := d.Open(t.Context(), bad)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorIs(t, d.Delete(t.Context(), bad), hone.ErrInvalid)
	}
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	var want []blob.Digest
	for i := range 5 {
		digest, _, err := d.Put(t.Context(), content(fmt.Sprint(i)))
		require.NoError(t, err)
		want = append(want, digest)
	}
	slices.Sort(want)
	require.NoError(t, d.Delete(t.Context(), want[2]))
	require.NoError(t, d.Delete(t.Context(), want[2]), "again")
	want = slices.Delete(want, 2, 3)
	var got []blob.Digest
	for info, err := range d.List(t.Context()) {
		require.NoError(t, err)
		require.EqualValues(t, 1, info.Size)
		got = append(got, info.Digest)
	}
	require.Equal(t, want, got)
}

func TestOpenDirRemovesWhatCrashesLeft(t *testing.T) {
	t.Parallel()
	_, path := open(t)
	old, fresh := filepath.Join(path, "tmp", "put-old"), filepath.Join(path, "tmp", "put-fresh")
	for _, f := range []string{old, fresh} {
		require.NoError(t, os.WriteFile(f, []byte("part"), 0o600))
	}
	past := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(old, past, past))
	_, err := blob.OpenDir(path)
	require.NoError(t, err)
	require.NoFileExists(t, old)
	require.FileExists(t, fresh)
}

func BenchmarkDir(b *testing.B) {
	for _, size := range []int{4 << 20, 64 << 20} {
		data := make([]byte, size)
		_, err := rand.Read(data)
		require.NoError(b, err)
		d, err := blob.OpenDir(b.TempDir())
		require.NoError(b, err)
		var digest blob.Digest
		b.Run(fmt.Sprintf("put/MiB=%d", size>>20), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				digest, _, err = d.Put(b.Context(), func(w io.Writer) error {
					_, err := io.Copy(w, bytes.NewReader(data))
					return err
				})
				require.NoError(b, err)
			}
		})
		b.Run(fmt.Sprintf("open/MiB=%d", size>>20), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r, err := d.Open(b.Context(), digest)
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, r)
				require.NoError(b, err)
				require.NoError(b, r.Close())
			}
		})
	}
}
