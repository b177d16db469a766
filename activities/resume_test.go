package activities_test

import (
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/task/countdown"
)

// slowBlobs says when content is about to be put, and puts it when it may.
type slowBlobs struct {
	blob.Store

	reached, open chan struct{}
}

func (s slowBlobs) Put(ctx context.Context, write func(io.Writer) error) (blob.Digest, int64, error) {
	select {
	case s.reached <- struct{}{}:
		<-s.open
	case <-s.open: // no longer slow
	}
	return s.Store.Put(ctx, write)
}

// slow is a process whose update stops between its training and its commit. What it returns goes on.
func (w *world) slow() (*activities.Activities, slowBlobs) {
	blobs := slowBlobs{Store: w.blobs, reached: make(chan struct{}), open: make(chan struct{})}
	return activities.New(activities.Deps{Store: w.store, Blobs: blobs, Kernels: w.set, Commit: "test"}), blobs
}

// Two learners train one cycle at once. The fence lets the one that came last win, whoever is ready first; the other one changes nothing,
// and when it tries again it returns what is published.
func TestTwoLearnersForOneRun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	run := w.prepare(w.process(), "fought over", job).Run
	_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	w.sample(run, 0, 1, 1, activities.Round{}, w.process)
	_, err = w.process().Score(t.Context(), activities.ScoreInput{Run: run})
	require.NoError(t, err)

	type ended struct {
		out activities.UpdateOutput
		err error
	}
	in := activities.UpdateInput{Run: run}
	begin := func() (*activities.Activities, slowBlobs, chan ended) {
		a, blobs := w.slow()
		done := make(chan ended, 1)
		go func() {
			out, err := a.Update(t.Context(), in)
			done <- ended{out, err}
		}()
		<-blobs.reached
		return a, blobs, done
	}
	first, firstBlobs, firstDone := begin()
	_, secondBlobs, secondDone := begin() // takes the lease; the first doesn't know yet

	close(firstBlobs.open)
	lost := <-firstDone
	require.ErrorIs(t, lost.err, hone.ErrConflict)
	require.ErrorContains(t, lost.err, "is stale, another trainer has")
	head, err := w.store.Head(t.Context(), run)
	require.NoError(t, err)
	require.Zero(t, head.Number, "the loser moved nothing")

	close(secondBlobs.open)
	won := <-secondDone
	require.NoError(t, won.err)
	require.Equal(t, 1, won.out.Version)

	again, err := first.Update(t.Context(), in)
	require.NoError(t, err)
	again.Seconds, won.out.Seconds = 0, 0
	require.Equal(t, won.out, again)
	require.Equal(t, w.cycle(run, 1, 1, 1, w.process).Manifest, w.cycle(run, 1, 1, 1, func() *activities.Activities { return first }).Manifest,
		"and the run goes on")
}

// passes is a job whose training problems have all been dealt, and are dealt anew, after its second and its fourth cycle.
func passes() activities.Job {
	job := tiny()
	job.Task, job.Countdown.Train, job.Countdown.HeldOut, job.Cycles = countdown.Name, 8, 8, 5
	return job
}

// A run that dies where all problems have been dealt trains on with the next pass, as a run that went through does.
func TestDyingAtAnEpochBoundaryTrainsOn(t *testing.T) {
	t.Parallel()
	w, run := testInterruptions(t, passes())
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	orders := make(map[int][]string)
	for iteration := range passes().Cycles {
		require.Positive(t, metrics[iteration]["steps"], "cycle %d took steps", iteration)
		all, err := w.store.LoadIteration(t.Context(), run, iteration)
		require.NoError(t, err)
		for _, one := range all {
			if one.Source == hone.SourceSample && one.ID.Sample%passes().Rollout.Group == 0 {
				orders[iteration/2] = append(orders[iteration/2], one.Problem.Key)
			}
		}
	}
	require.ElementsMatch(t, orders[0], orders[1], "each pass deals all problems")
	require.NotEqual(t, orders[0], orders[1], "in another order")
	require.Len(t, orders[1], 8)
	require.Len(t, orders[2], 4)
}

// Problems that are not those that a run was created with are refused, in words that say what differs.
func TestChangedDataSetIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := passes()
	w.prepare(w.process(), "dealt", job)
	job.Countdown.Train = 9
	config, err := json.Marshal(job)
	require.NoError(t, err)
	_, err = w.process().Prepare(t.Context(), activities.PrepareInput{Name: "dealt", Config: config})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "countdown.train: stored 8, given 9")
	require.ErrorContains(t, err, `dataset: stored "`)

	// The same configuration with other problems: a list of test puzzles that are kept out of training. A process that has a list also
	// serves runs that were created without one, and not the other way about.
	listed := activities.New(activities.Deps{Store: w.store, Blobs: w.blobs, Kernels: w.set, Commit: "test", Yao: [][]int{{1, 2, 3, 4}}})
	run := w.prepare(listed, "kept out", tiny()).Run
	_, err = w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "run kept out was trained on problems with digest")
}
