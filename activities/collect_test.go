package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
)

// collect keeps as little of all runs as there may be, and deletes all content that is not needed, however young.
func (w *world) collect() {
	w.Helper()
	keep := storage.Retention{Weights: 1, Optimisers: 1, Iterations: 1, Finished: time.Nanosecond}
	_, err := w.store.Expire(w.Context(), keep, activities.Reads, false)
	require.NoError(w, err)
	_, err = w.store.Sweep(w.Context(), w.blobs, time.Now().Add(time.Hour), false)
	require.NoError(w, err)
}

// ended says that a run is over.
func (w *world) ended(run hone.RunID) {
	w.Helper()
	require.NoError(w, w.process().Finish(w.Context(), activities.FinishInput{Run: run, Status: activities.StatusSucceeded}))
}

// A run on another one's samples goes on to the same bytes after all was collected that is not needed, wherever it stood then.
func TestRunFromAScoringOutlivesCollection(t *testing.T) {
	t.Parallel()
	w, source, mended := lent(t)
	theirs := storage.RunIDOf("source")
	w.ended(theirs)
	job := from(source, mended, activities.FromScoring{Scoring: 1, From: 0, To: 1, Version: 2})
	steps := func(name string, before func()) (manifests []string) {
		run := w.prepare(w.process(), name, job).Run
		before()
		_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
		require.NoError(t, err)
		for i := range job.Cycles {
			before()
			require.Equal(t, run, w.prepare(w.process(), name, job).Run)
			manifests = append(manifests, w.cycle(run, i, 2, 1, w.process).Manifest)
		}
		w.requireSound(run)
		return manifests
	}
	want := steps("calm", func() {})
	require.Equal(t, want, steps("collected", w.collect))
	gone, err := w.store.DroppedIterations(t.Context(), theirs)
	require.NoError(t, err)
	require.Len(t, gone, source.Cycles, "once they are taken, nothing keeps them")
	w.requireSound(theirs)
}

// A fork that reads cycles of before it does so after a collection, though its parents are over.
func TestForksOutliveCollection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	job.Cycles, job.Algorithm, job.Rejection.Window = 4, activities.AlgorithmRejection, 3
	parent := w.started("parent", job)
	var want []string
	for i := range job.Cycles {
		want = append(want, w.cycle(parent, i, 1, 1, w.process).Manifest)
	}
	fork := func(of hone.RunID, name string) hone.RunID {
		out, err := w.process().Fork(t.Context(), activities.ForkInput{Parent: of, Version: 2, Name: name})
		require.NoError(t, err)
		return out.Run
	}
	between := fork(parent, "between")
	run := fork(between, "fork")
	w.ended(parent)
	w.ended(between)
	for i := 2; i < job.Cycles; i++ {
		w.collect()
		require.Equal(t, want[i], w.cycle(run, i, 1, 1, w.process).Manifest, "version %d", i+1)
	}
	for _, one := range []hone.RunID{parent, between, run} {
		w.requireSound(one)
	}
}
