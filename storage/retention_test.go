package storage_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// back is a reader of n iterations and versions back for every run.
func back(n int) storage.Reader {
	return func(storage.Run) (storage.Reads, error) { return storage.Reads{Back: n}, nil }
}

// sampled is a run of n cycles, each with stored trajectories.
func sampled(t testing.TB, s *storage.Store, n int) (run hone.RunID, fence int64) {
	t.Helper()
	run, fence = createRun(t, s)
	for i := range n {
		startIteration(t, s, run, i)
		require.NoError(t, s.SaveShard(t.Context(), shardOf(run, i, 0, trajectories(run, i, 2, 5))))
		_, err := s.CommitCycle(t.Context(), cycle(run, fence, i))
		require.NoError(t, err)
	}
	return run, fence
}

func TestRetentionIsKept(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	nothing, err := s.Retention(t.Context())
	require.NoError(t, err)
	require.Zero(t, nothing, "everything is kept unless something else is said")
	want := storage.Retention{Weights: 10, Optimisers: 3, Iterations: 20, Finished: 90 * time.Minute}
	for range 2 {
		require.NoError(t, s.SaveRetention(t.Context(), want))
	}
	got, err := s.Retention(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)
	err = s.SaveRetention(t.Context(), storage.Retention{Weights: -1, Finished: -time.Hour})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "weights -1")
	require.ErrorContains(t, err, "-1h0m0s")
}

func TestOldVersionsLoseWhatIsNotKept(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := cycled(t, s, 6)
	startIteration(t, s, run, 6)
	_, err := s.SavePublication(t.Context(), storage.Publication{
		Service: "math", Request: "a", State: storage.Published, Run: run, Version: 2, Details: []byte("{}"),
	}, 3)
	require.NoError(t, err)
	keep := storage.Retention{Weights: 2, Optimisers: 1}
	want := []storage.Expired{{Run: run, Name: runName(t, s, run), Weights: []int{1, 3, 4}, Optimisers: []int{0, 1, 3, 4, 5}}}
	lost, err := s.Expire(t.Context(), keep, back(0), true)
	require.NoError(t, err)
	require.Equal(t, want, lost)
	dropped, err := s.DroppedVersions(t.Context(), run)
	require.NoError(t, err)
	require.Empty(t, dropped, "a dry run drops nothing")

	lost, err = s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Equal(t, want, lost, "0 is the reference, 2 is in service, 6 is the head and is sampled from")
	dropped, err = s.DroppedVersions(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, dropped, 5)
	require.NotZero(t, dropped[1].Weights)
	require.Zero(t, dropped[5].Weights)
	require.NotZero(t, dropped[5].Optimiser)
	lost, err = s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Empty(t, lost, "once")

	for _, version := range []int{1, 5} {
		_, err = s.Rollback(t.Context(), storage.Rollback{Run: run, From: 6, To: version})
		require.ErrorIs(t, err, hone.ErrNotFound)
		require.ErrorContains(t, err, "retention")
		_, err = s.ForkRun(t.Context(), storage.Fork{Parent: run, Version: version, Run: newRun(fmt.Sprint("fork", version))})
		require.ErrorIs(t, err, hone.ErrNotFound)
		require.ErrorContains(t, err, "retention")
	}
	fork, err := s.ForkRun(t.Context(), storage.Fork{Parent: run, Version: 2, Run: newRun("fork2")})
	require.NoError(t, err)
	inherited, err := s.DroppedVersions(t.Context(), fork.ID)
	require.NoError(t, err)
	require.Len(t, inherited, 2, "a fork's older versions are its parent's")
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 6))
	require.NoError(t, err, "the run goes on")
}

func TestALookbackIsKeptWhateverTheSettingsSay(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := sampled(t, s, 5)
	lost, err := s.Expire(t.Context(), storage.Retention{Weights: 1, Iterations: 1}, back(3), false)
	require.NoError(t, err)
	require.Equal(t, []storage.Expired{{Run: run, Name: runName(t, s, run), Weights: []int{1}, Iterations: []int{0, 1}}}, lost)
}

func TestOldIterationsLoseTheirTrajectoriesAndSaySo(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := sampled(t, s, 3)
	startIteration(t, s, run, 3)
	lost, err := s.Expire(t.Context(), storage.Retention{Iterations: 2}, back(0), false)
	require.NoError(t, err)
	require.Equal(t, []storage.Expired{{Run: run, Name: runName(t, s, run), Iterations: []int{0, 1}}}, lost)
	dropped, err := s.DroppedIterations(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, dropped, 2)
	_, err = s.LoadIteration(t.Context(), run, 1)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, "retention")
	_, err = s.LoadScoring(t.Context(), run, 1, storage.LiveScoring)
	require.ErrorIs(t, err, hone.ErrNotFound)
	all, err := s.LoadIteration(t.Context(), run, 2)
	require.NoError(t, err)
	require.Len(t, all, 2)
	all, err = s.LoadIteration(t.Context(), run, 3)
	require.NoError(t, err, "nothing was sampled yet, and nothing lost")
	require.Empty(t, all)
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 1, 0, trajectories(run, 1, 2, 5))), "the ledger remembers")
	_, err = s.LoadIteration(t.Context(), run, 1)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestARunThatEndedLosesItsPartitionsAndCanGoOn(t *testing.T) {
	t.Parallel()
	address := storagetest.URL(t)
	s := storagetest.OpenURL(t, address)
	run, fence := sampled(t, s, 2)
	keep := storage.Retention{Finished: time.Microsecond}
	lost, err := s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Empty(t, lost, "it has not ended")
	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusSucceeded, ""))
	lost, err = s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Equal(t, []storage.Expired{{Run: run, Name: runName(t, s, run), Iterations: []int{0, 1}, Partitions: true}}, lost)
	conn := connect(t, address)
	require.Zero(t, count(t, conn, "SELECT count(*) FROM pg_inherits"))
	lost, err = s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Empty(t, lost, "once")

	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusRunning, ""))
	startIteration(t, s, run, 2)
	require.NoError(t, s.SaveShard(t.Context(), shardOf(run, 2, 0, trajectories(run, 2, 2, 5))))
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 2))
	require.NoError(t, err)
}

// What was sampled before a fork is read from the run that sampled it, through however many forks, until the lookback is behind the fork.
func TestForksKeepWhatTheyReadOfTheirParents(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := sampled(t, s, 6)
	fork, err := s.ForkRun(t.Context(), storage.Fork{Parent: run, Version: 3, Run: newRun("fork")})
	require.NoError(t, err)
	require.NoError(t, s.SetStatus(t.Context(), fork.ID, storage.StatusSucceeded, ""))
	child, err := s.ForkRun(t.Context(), storage.Fork{Parent: fork.ID, Version: 3, Run: newRun("fork of the fork")})
	require.NoError(t, err)
	anew, err := s.ForkRun(t.Context(), storage.Fork{Parent: run, Version: 2, Run: newRun("anew"), Restart: true})
	require.NoError(t, err)
	require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusSucceeded, ""))

	keep := storage.Retention{Finished: time.Microsecond}
	reads := func(of map[hone.RunID]int) storage.Reader {
		return func(r storage.Run) (storage.Reads, error) { return storage.Reads{Back: of[r.ID]}, nil }
	}
	want := storage.Expired{Run: run, Name: runName(t, s, run)}
	for _, c := range []struct {
		reads map[hone.RunID]int
		left  []int
	}{
		{map[hone.RunID]int{child.ID: 2, anew.ID: 9}, []int{0, 3, 4, 5}},
		{map[hone.RunID]int{fork.ID: 1, child.ID: 2}, []int{0, 3, 4, 5}},
		{map[hone.RunID]int{fork.ID: 9}, []int{3, 4, 5}},
	} {
		want.Iterations = c.left
		lost, err := s.Expire(t.Context(), keep, reads(c.reads), true)
		require.NoError(t, err)
		require.Equal(t, []storage.Expired{want}, lost, "%v", c.reads)
	}
	want.Iterations, want.Partitions = []int{0, 1, 2, 3, 4, 5}, true
	lost, err := s.Expire(t.Context(), keep, back(0), false)
	require.NoError(t, err)
	require.Equal(t, []storage.Expired{want}, lost)
}

// What a run takes from another one is kept until it has taken it.
func TestLoansAreKeptUntilTheyAreTaken(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	lender, _ := sampled(t, s, 5)
	_, err := s.SavePublication(t.Context(), storage.Publication{
		Service: "math", Request: "a", State: storage.Refused, Reason: "worse", Run: lender, Version: 2, Details: []byte("{}"),
	}, 3)
	require.NoError(t, err)
	taker, err := s.CreateRun(t.Context(), newRun("taker"))
	require.NoError(t, err)
	fence, err := s.AcquireLease(t.Context(), taker.ID, "trainer", hour)
	require.NoError(t, err)
	keep := storage.Retention{Weights: 1, Optimisers: 1, Iterations: 1}
	reader := func(r storage.Run) (storage.Reads, error) {
		if r.ID != taker.ID {
			return storage.Reads{}, nil
		}
		return storage.Reads{Loan: storage.Loan{Run: "run", From: 1, To: 3, Version: 2}}, nil
	}
	loses := func(want storage.Expired) {
		t.Helper()
		want.Run, want.Name = lender, "run"
		lost, err := s.Expire(t.Context(), keep, reader, true)
		require.NoError(t, err)
		require.NotEmpty(t, lost)
		require.Equal(t, want, lost[len(lost)-1])
	}
	loses(storage.Expired{Weights: []int{1, 3, 4}, Optimisers: []int{0, 1, 3, 4}, Iterations: []int{0}})
	require.NoError(t, s.PublishFirst(t.Context(), taker.ID, fence, storage.First{Version: versionOf(0)}))
	loses(storage.Expired{Weights: []int{1, 2, 3, 4}, Optimisers: []int{0, 1, 2, 3, 4}, Iterations: []int{0}})
	for i, want := range [][]int{{0, 1}, {0, 1, 2}, {0, 1, 2, 3}} {
		startIteration(t, s, taker.ID, i)
		_, err := s.CommitCycle(t.Context(), cycle(taker.ID, fence, i))
		require.NoError(t, err)
		loses(storage.Expired{Weights: []int{1, 2, 3, 4}, Optimisers: []int{0, 1, 2, 3, 4}, Iterations: want})
	}
}

func runName(t testing.TB, s *storage.Store, run hone.RunID) string {
	t.Helper()
	r, err := s.Run(t.Context(), run)
	require.NoError(t, err)
	return r.Name
}

// put stores content and returns its digest.
func put(t testing.TB, blobs blob.Store, text string) blob.Digest {
	t.Helper()
	digest, _, err := blobs.Put(t.Context(), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	require.NoError(t, err)
	return digest
}

// stored is a commit whose content is in the blob store.
func stored(t testing.TB, blobs blob.Store, run hone.RunID, fence int64, i int) storage.Commit {
	t.Helper()
	c := cycle(run, fence, i)
	c.Version.Weights, c.Version.Optimiser = put(t, blobs, fmt.Sprint("weights", i)), put(t, blobs, fmt.Sprint("optimiser", i))
	return c
}

func TestSweepDeletesWhatNobodyNeedsAndIsOld(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	run, fence := createRun(t, s)
	for i := range 3 {
		startIteration(t, s, run, i)
		_, err := s.CommitCycle(t.Context(), stored(t, blobs, run, fence, i))
		require.NoError(t, err)
	}
	lost := put(t, blobs, "an upload whose commit never came")
	_, err = s.Expire(t.Context(), storage.Retention{Weights: 2, Optimisers: 1}, back(0), false)
	require.NoError(t, err)

	early, late := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	swept, err := s.Sweep(t.Context(), blobs, early, false)
	require.NoError(t, err)
	require.Equal(t, storage.Swept{Kept: 3, Young: 4}, swept, "all is young")
	dry, err := s.Sweep(t.Context(), blobs, late, true)
	require.NoError(t, err)
	require.Contains(t, dry.Deleted, lost)
	swept, err = s.Sweep(t.Context(), blobs, late, false)
	require.NoError(t, err)
	require.Equal(t, dry, swept)
	require.Len(t, swept.Deleted, 4, "an upload, the weights of version 1, the optimisers of 1 and 2")
	require.EqualValues(t, len("an upload whose commit never came")+len("weights0")+2*len("optimiser0"), swept.Bytes)
	for _, text := range []string{"weights1", "weights2", "optimiser2"} {
		r, err := blobs.Open(t.Context(), put(t, blobs, text))
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
}

// A learner makes again what an older version had: it puts it, and refers to it, while sweeps delete all that is old.
func TestSweepNeverTakesWhatIsBeingCommitted(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	dir := t.TempDir()
	blobs, err := blob.OpenDir(dir)
	require.NoError(t, err)
	run, fence := createRun(t, s)
	const cycles, grace = 40, time.Minute
	var done atomic.Bool
	var group errgroup.Group
	deleted := 0
	group.Go(func() error {
		for !done.Load() {
			swept, err := s.Sweep(t.Context(), blobs, time.Now().Add(-grace), false)
			if err != nil {
				return err
			}
			deleted += len(swept.Deleted)
		}
		return nil
	})
	for i := range cycles {
		startIteration(t, s, run, i)
		files, err := filepath.Glob(filepath.Join(dir, "sha256", "??", "*"))
		require.NoError(t, err)
		for _, file := range files { // what there is has long been there
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(-2*grace)); !errors.Is(err, os.ErrNotExist) {
				require.NoError(t, err)
			}
		}
		c := cycle(run, fence, i)
		c.Version.Weights, c.Version.Optimiser = put(t, blobs, fmt.Sprint("weights", i%3)), put(t, blobs, fmt.Sprint("optimiser", i%3))
		_, err = s.CommitCycle(t.Context(), c)
		require.NoError(t, err)
		_, err = s.Expire(t.Context(), storage.Retention{Weights: 1, Optimisers: 1}, back(0), false)
		require.NoError(t, err)
		for _, digest := range []blob.Digest{c.Version.Weights, c.Version.Optimiser} {
			r, err := blobs.Open(t.Context(), digest)
			require.NoError(t, err, "cycle %d", i)
			require.NoError(t, r.Close())
		}
	}
	done.Store(true)
	require.NoError(t, group.Wait())
	require.Positive(t, deleted)
}
