package storage_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// objects counts what the schema consists of.
const objects = `SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
	+ (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)`

func TestConcurrentMigratorsApplyOnce(t *testing.T) {
	t.Parallel()
	address := storagetest.Empty(t)
	_, err := storage.Open(t.Context(), address, storage.Options{})
	require.ErrorIs(t, err, hone.ErrConflict, "a worker doesn't migrate")
	require.ErrorContains(t, err, "hone migrate")
	var group errgroup.Group
	for range 8 {
		group.Go(func() error { return storage.Migrate(t.Context(), address) })
	}
	require.NoError(t, group.Wait())
	conn := connect(t, address)
	require.EqualValues(t, storage.SchemaVersion(), count(t, conn, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"))
	s, err := storage.Open(t.Context(), address, storage.Options{Migrate: true})
	require.NoError(t, err)
	s.Close()
}

func TestNewerDatabaseIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	conn := connect(t, address)
	_, err := conn.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	require.NoError(t, err)
	before := count(t, conn, objects)
	for _, migrate := range []bool{false, true} {
		_, err = storage.Open(t.Context(), address, storage.Options{Migrate: migrate})
		require.ErrorIs(t, err, hone.ErrConflict)
		require.ErrorContains(t, err, "newer hone")
	}
	require.Equal(t, before, count(t, conn, objects))
	require.Equal(t, 999, count(t, conn, "SELECT max(version_id) FROM goose_db_version"))
}

func TestMigrationsGoUpAndDownAndAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	address := storagetest.Empty(t)
	db, err := sql.Open("pgx", address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	require.NoError(t, err)
	for i, source := range provider.ListSources() {
		require.EqualValues(t, i+1, source.Version)
	}
	require.Len(t, provider.ListSources(), int(storage.SchemaVersion()))

	conn := connect(t, address)
	_, err = provider.Up(t.Context())
	require.NoError(t, err)
	full := count(t, conn, objects)
	_, err = provider.DownTo(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, count(t, conn, objects+" - (SELECT count(*) FROM pg_class WHERE relname LIKE 'goose_db_version%')"))
	_, err = provider.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, full, count(t, conn, objects))
}

func TestUnreachableDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	_, err := storage.Open(t.Context(), "postgres://hone@/hone?host="+t.TempDir(), storage.Options{})
	require.ErrorIs(t, err, hone.ErrUnavailable)
	_, err = storage.Open(t.Context(), "postgres://%zz", storage.Options{})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

// TestOlderReplaysArePacked brings a replay into the form of schema 4, a row a trajectory, and back up.
func TestOlderReplaysArePacked(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	run, _ := createRun(t, s)
	key := live(run)
	require.NoError(t, s.SaveScoring(t.Context(), key, scored(3, 0.5)))
	var err error
	key.Scoring, err = s.AddScoring(t.Context(), run, []byte(`{"step": 0.75}`))
	require.NoError(t, err)
	want := scored(1500, 0.75)
	require.NoError(t, s.SaveScoring(t.Context(), key, want))

	db, err := sql.Open("pgx", address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	require.NoError(t, err)
	_, err = provider.DownTo(t.Context(), 4)
	require.NoError(t, err)
	conn := connect(t, address)
	require.Equal(t, 1500, count(t, conn, "SELECT count(packed) FROM scores WHERE scoring_id = 1"))
	later, err := conn.Exec(t.Context(), `INSERT INTO runs (run_id, name, seed, config, "commit", fingerprint, dataset)
		VALUES (gen_random_uuid(), 'later', 0, '{}', '', '', '')`)
	require.NoError(t, err)
	require.EqualValues(t, 1, later.RowsAffected())

	require.NoError(t, storage.Migrate(t.Context(), address))
	again := storagetest.OpenURL(t, address)
	got, err := again.LoadScoring(t.Context(), run, 0, key.Scoring)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, again.SaveScoring(t.Context(), key, want), "the ledger has the same digest")
	live, err := again.LoadScoring(t.Context(), run, 0, storage.LiveScoring)
	require.NoError(t, err)
	require.Equal(t, scored(3, 0.5), live)
	require.Equal(t, 2, count(t, conn, "SELECT count(*) FROM replays"))
	require.Zero(t, count(t, conn, "SELECT count(*) FROM scores WHERE scoring_id > 0"))
	require.Equal(t, 1, count(t, conn, "SELECT count(*) FROM pg_class WHERE relname LIKE 'replays\\_%' AND relkind = 'r'"),
		"a run without partitions gets none")
}
