package blob_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// age makes content look as if it had been put that long ago.
func age(t *testing.T, path string, digest blob.Digest, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	require.NoError(t, os.Chtimes(filepath.Join(path, "sha256", string(digest[:2]), string(digest)), then, then))
}

func TestOldContentGoesAndYoungStays(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	old, _, err := d.Put(t.Context(), content("old"))
	require.NoError(t, err)
	young, _, err := d.Put(t.Context(), content("young"))
	require.NoError(t, err)
	age(t, path, old, 2*time.Hour)
	than := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		digest  blob.Digest
		deleted bool
	}{{old, true}, {old, false}, {young, false}, {helloDigest, false}} {
		deleted, err := blob.DeleteOlder(t.Context(), d, c.digest, than)
		require.NoError(t, err)
		require.Equal(t, c.deleted, deleted)
	}
	require.Equal(t, []string{"sha256/" + string(young[:2]) + "/" + string(young)}, files(t, path), "and nothing is left in tmp")
	_, err = blob.DeleteOlder(t.Context(), d, "58", than)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

// However putting and deleting race, what was put after all deletes began is there in the end.
func TestContentThatIsPutAgainStays(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	for range 200 {
		digest, _, err := d.Put(t.Context(), content("again"))
		require.NoError(t, err)
		age(t, path, digest, 2*time.Hour)
		var group errgroup.Group
		group.Go(func() error {
			_, err := blob.DeleteOlder(t.Context(), d, digest, time.Now().Add(-time.Hour))
			return err
		})
		group.Go(func() error {
			_, _, err := d.Put(t.Context(), content("again"))
			return err
		})
		require.NoError(t, group.Wait())
		r, err := d.Open(t.Context(), digest)
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
}

// A delete that died while it looked has lost nothing: what it had taken aside is found by who wants it, and by who opens the store later.
func TestContentOfADeleteThatDiedIsFound(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	digest, _, err := d.Put(t.Context(), content("needed"))
	require.NoError(t, err)
	aside := filepath.Join(path, "tmp", "old-"+string(digest))
	file := filepath.Join(path, "sha256", string(digest[:2]), string(digest))
	require.NoError(t, os.Rename(file, aside))
	r, err := d.Open(t.Context(), digest)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoFileExists(t, aside)

	require.NoError(t, os.Rename(file, aside))
	then := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(aside, then, then))
	_, err = blob.OpenDir(path)
	require.NoError(t, err)
	require.FileExists(t, file)
}

// unaided is a store that can't tell and delete in one step.
type unaided struct{ blob.Store }

func TestAStoreWithoutTheStepDeletes(t *testing.T) {
	t.Parallel()
	d, path := open(t)
	digest, _, err := d.Put(t.Context(), content("hello\n"))
	require.NoError(t, err)
	deleted, err := blob.DeleteOlder(t.Context(), unaided{d}, digest, time.Time{})
	require.NoError(t, err)
	require.True(t, deleted)
	require.Empty(t, files(t, path))
}
