package blob_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
)

func TestCacheKeepsToItsSize(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	c, err := blob.OpenCache(path, 25)
	require.NoError(t, err)
	var digests []blob.Digest
	var oldest io.ReadCloser
	for i := range 4 {
		digest, size, err := c.Put(t.Context(), content(strings.Repeat(fmt.Sprint(i), 10)))
		require.NoError(t, err)
		require.EqualValues(t, 10, size)
		digests = append(digests, digest)
		// What a clock of whole seconds would show.
		at := time.Unix(1_700_000_000+int64(i), 0)
		require.NoError(t, os.Chtimes(filepath.Join(path, "sha256", string(digest[:2]), string(digest)), at, at))
		if i == 1 {
			oldest, err = c.Open(t.Context(), digests[0]) // used again
			require.NoError(t, err)
		}
	}
	has := func(i int) bool {
		r, err := c.Open(t.Context(), digests[i])
		if err == nil {
			require.NoError(t, r.Close())
			return true
		}
		require.ErrorIs(t, err, hone.ErrNotFound)
		return false
	}
	require.Equal(t, []bool{true, false, false, true}, []bool{has(0), has(1), has(2), has(3)})
	_, _, err = c.Put(t.Context(), content(strings.Repeat("x", 100)))
	require.NoError(t, err)
	require.Len(t, files(t, path), 1, "the last stays, however large")
	got, err := io.ReadAll(oldest)
	require.NoError(t, err, "what is open stays readable")
	require.Equal(t, "0000000000", string(got))
	require.NoError(t, oldest.Close())
	_, err = blob.OpenCache(path, -1)
	require.ErrorIs(t, err, hone.ErrInvalid)
}
