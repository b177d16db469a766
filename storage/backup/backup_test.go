package backup_test

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/backup"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/storage/verify"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

// world is a record with a run of one cycle, a fork of it and a publication.
type world struct {
	*testing.T
	source backup.Source
	run    hone.RunID
	fence  int64
	// address is the database's, dir where backups go.
	address, dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	w := &world{T: t, address: storagetest.URL(t), dir: filepath.Join(t.TempDir(), "backups")}
	w.source = backup.Source{
		Store: storagetest.OpenURL(t, w.address), Blobs: blobs, Program: "test", Now: time.Date(2026, 11, 22, 13, 5, 1, 0, time.UTC),
	}
	run, err := w.source.Store.CreateRun(t.Context(), storage.NewRun{Name: "kept", Config: json.RawMessage(`{"a":1}`), Seed: math.MaxUint64})
	require.NoError(t, err)
	w.run = run.ID
	w.fence, err = w.source.Store.AcquireLease(t.Context(), w.run, "learner", time.Hour)
	require.NoError(t, err)
	require.NoError(t, w.source.Store.PublishFirst(t.Context(), w.run, w.fence, storage.First{Version: w.version("0")}))
	w.cycle(0)
	_, err = w.source.Store.ForkRun(t.Context(), storage.Fork{
		Parent: w.run, Version: 1, Run: storage.NewRun{Name: "fork", Config: json.RawMessage(`{"a":1}`)},
	})
	require.NoError(t, err)
	_, err = w.source.Store.SavePublication(t.Context(), storage.Publication{
		Service: "math", Request: "r", State: storage.Published, Run: w.run, Version: 1, Details: json.RawMessage(`{}`),
	}, 3)
	require.NoError(t, err)
	return w
}

// version is content that is put.
func (w *world) version(name string) storage.Version {
	w.Helper()
	put := func(text string) blob.Digest {
		digest, _, err := w.source.Blobs.Put(w.Context(), func(to io.Writer) error {
			_, err := io.WriteString(to, text)
			return err
		})
		require.NoError(w, err)
		return digest
	}
	return storage.Version{Weights: put("weights " + name), Optimiser: put("optimiser " + name), State: json.RawMessage(`{"kl": 1e-05}`)}
}

// cycle samples and commits one.
func (w *world) cycle(i int) {
	w.Helper()
	s, problem := w.source.Store, hone.Problem{Task: "game24", Key: "4 5 6 10", Prompt: "?"}
	require.NoError(w, s.StartIteration(w.Context(), storage.Iteration{Run: w.run, Iteration: i, Behaviour: i, Prompts: 1}))
	require.NoError(w, s.SaveShard(w.Context(), storage.Shard{
		Key: storage.ShardKey{Run: w.run, Iteration: i},
		Trajectories: []hone.Trajectory{{
			ID: hone.TrajectoryID{Run: w.run, Iteration: i}, Problem: problem, Behaviour: i, Source: hone.SourceSample, Seed: 7,
			Fingerprint: "f", Finish: hone.FinishStop, Text: "24\t\\N\n", Prompt: []hone.TokenID{1, 2}, Tokens: []hone.TokenID{3, 4},
			Logp: []float32{-0.25, -1e-30}, Values: []float32{0.5, 0.125}, Steps: []hone.Step{{Text: "24\t\\N\n", From: 0, To: 2}},
		}},
	}))
	require.NoError(w, s.SaveScoring(w.Context(), storage.ScoringKey{ShardKey: storage.ShardKey{Run: w.run, Iteration: i}}, []storage.Scored{{
		Breakdown: hone.Breakdown{Outcome: hone.OutcomeRight, Steps: 1, Layers: []hone.LayerScore{{
			Layer: "correctness", Weight: 1, Terms: []hone.Term{{Step: 0, Score: 1, Reason: "it is 24"}},
		}}},
	}}))
	_, err := s.CommitCycle(w.Context(), storage.Commit{
		Run: w.run, Iteration: i, From: i, Fence: w.fence, Version: w.version(string(rune('1' + i))),
		Prompts: []storage.PromptEnd{{Problem: problem, State: storage.PromptDropped, Reason: "uniform"}},
		Metrics: map[string]float64{"kl": math.NaN()},
	})
	require.NoError(w, err)
}

// record is all rows of a database in words.
func record(t *testing.T, address string) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT c.relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace
		AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'goose_db_version'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	all := make(map[string]string)
	for _, table := range tables {
		var text string
		query := "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM " + table + " t"
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&text))
		all[table] = text
	}
	return all
}

// target is an empty place.
func target(t *testing.T) (backup.Target, *blob.Dir) {
	t.Helper()
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	return backup.Target{URL: storagetest.Empty(t), Blobs: blobs, Files: filepath.Join(t.TempDir(), "runs")}, blobs
}

func TestARestoredRecordIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.Files = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(w.source.Files, "kept"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.source.Files, "kept", "config.yaml"), []byte("seed: 1\n"), 0o600))
	made, err := backup.Write(t.Context(), w.source, w.dir)
	require.NoError(t, err)
	require.Equal(t, "20261122T130501Z", made.Name)
	require.Equal(t, 4, made.Copied)
	want := record(t, w.address)
	w.cycle(1) // after the backup

	to, blobs := target(t)
	back, err := backup.Restore(t.Context(), w.dir, "", to)
	require.NoError(t, err)
	require.Equal(t, made.Rows, back.Rows)
	require.Equal(t, 4, back.Copied)
	got := record(t, to.URL)
	require.NotEmpty(t, want["trajectories"])
	require.Equal(t, want, got)
	text, err := os.ReadFile(filepath.Join(to.Files, "kept", "config.yaml"))
	require.NoError(t, err)
	require.Equal(t, "seed: 1\n", string(text))

	// It holds together and can go on.
	there := storagetest.OpenURL(t, to.URL)
	report, err := verify.Run(t.Context(), verify.Input{Store: there, Blobs: blobs, Run: w.run})
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	w.source.Store, w.source.Blobs = there, blobs
	w.cycle(1)
	_, err = backup.Restore(t.Context(), w.dir, "", to)
	require.ErrorIs(t, err, hone.ErrConflict, "it is no longer empty")
}

func TestAFurtherBackupCopiesWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := backup.Write(t.Context(), w.source, w.dir)
	require.NoError(t, err)
	_, err = backup.Write(t.Context(), w.source, w.dir)
	require.ErrorIs(t, err, hone.ErrConflict, "of the same second")
	w.cycle(1)
	w.source.Now = w.source.Now.Add(time.Hour)
	second, err := backup.Write(t.Context(), w.source, w.dir)
	require.NoError(t, err)
	require.Equal(t, 2, second.Copied)
	names, err := backup.List(w.dir)
	require.NoError(t, err)
	require.Equal(t, []string{first.Name, second.Name}, names)
	to, _ := target(t)
	old, err := backup.Restore(t.Context(), w.dir, first.Name, to)
	require.NoError(t, err)
	require.Equal(t, first.Rows, old.Rows)
	require.Less(t, first.Rows, second.Rows)
}

func TestDamagedBackupsAreRefusedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made, err := backup.Write(t.Context(), w.source, w.dir)
	require.NoError(t, err)
	file := filepath.Join(w.dir, made.Name, "trajectories.copy.gz")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	content := filepath.Join(w.dir, "blobs", "sha256", string(made.Blobs[0][:2]), string(made.Blobs[0]))
	for name, damage := range map[string]func(){
		"a table that is another": func() { require.NoError(t, os.WriteFile(file, whole[:len(whole)-1], 0o600)) },
		"a table that is gone":    func() { require.NoError(t, os.Remove(file)) },
		"content that is another": func() {
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			require.NoError(t, os.WriteFile(content, []byte("x"), 0o600))
		},
	} {
		damage()
		to, _ := target(t)
		_, err := backup.Restore(t.Context(), w.dir, "", to)
		require.ErrorIs(t, err, hone.ErrCorrupt, name)
		require.NoError(t, os.WriteFile(file, whole, 0o600))
		if name == "content that is another" {
			require.NoError(t, os.WriteFile(content, []byte("weights 0"), 0o600))
		}
		require.NoError(t, storage.Migrate(t.Context(), to.URL))
		runs, err := storagetest.OpenURL(t, to.URL).Runs(t.Context())
		require.NoError(t, err)
		require.Empty(t, runs)
	}
	_, err = backup.Restore(t.Context(), w.dir, "yesterday", backup.Target{})
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, made.Name)
	_, err = backup.Restore(t.Context(), t.TempDir(), "", backup.Target{})
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestNoSweepRunsBesideABackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.source.Store.Export(t.Context(), storage.Export{
		Table: func(string) (io.WriteCloser, error) { return drop{}, nil },
		Content: func(ctx context.Context, needed []blob.Digest) error {
			require.Len(t, needed, 4)
			_, err := w.source.Store.Sweep(ctx, w.source.Blobs, time.Now(), false)
			require.ErrorIs(t, err, hone.ErrConflict)
			require.ErrorContains(t, err, "backup")
			return nil
		},
	})
	require.NoError(t, err)
	_, err = w.source.Store.Sweep(t.Context(), w.source.Blobs, time.Now(), false)
	require.NoError(t, err)
}

// drop is where rows end.
type drop struct{}

func (drop) Write(p []byte) (int, error) { return len(p), nil }
func (drop) Close() error                { return nil }
