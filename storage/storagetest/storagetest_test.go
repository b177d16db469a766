package storagetest_test

import (
	"testing"

	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for range 2 {
		s := storagetest.Open(t)
		runs, err := s.Runs(t.Context())
		require.NoError(t, err)
		require.Empty(t, runs)
		_, err = s.CreateRun(t.Context(), storage.NewRun{Name: "one", Config: []byte(`{}`)})
		require.NoError(t, err)
	}
}

func TestEmptyHasNoSchema(t *testing.T) {
	t.Parallel()
	_, err := storage.Open(t.Context(), storagetest.Empty(t), storage.Options{})
	require.ErrorContains(t, err, "schema version 0")
}
