package bucket_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
)

func TestOldContentOfABucketGoesAndYoungStays(t *testing.T) {
	t.Parallel()
	for name, b := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := machine(t, b, 1<<20)
			digest, _, err := s.Put(t.Context(), content("hello\n"))
			require.NoError(t, err)
			deleted, err := blob.DeleteOlder(t.Context(), s, digest, time.Now().Add(-time.Hour))
			require.NoError(t, err)
			require.False(t, deleted)
			require.Equal(t, "hello\n", read(t, s, digest))
			deleted, err = blob.DeleteOlder(t.Context(), s, digest, time.Now().Add(time.Hour))
			require.NoError(t, err)
			require.True(t, deleted)
			_, err = s.Open(t.Context(), digest)
			require.ErrorIs(t, err, hone.ErrNotFound, "nor does the cache have it")
			deleted, err = blob.DeleteOlder(t.Context(), s, digest, time.Now().Add(time.Hour))
			require.NoError(t, err)
			require.False(t, deleted)
			_, err = blob.DeleteOlder(t.Context(), s, "58", time.Now())
			require.ErrorIs(t, err, hone.ErrInvalid)
		})
	}
}
