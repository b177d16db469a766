package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/verify"
)

// lent is a run of three cycles whose trajectories have a second scoring, under a reward that weighs steps more.
func lent(t *testing.T) (w *world, source activities.Job, mended stack.Config) {
	t.Helper()
	w, source = setup(t), tiny()
	source.Cycles = 3
	a := w.process()
	run := w.prepare(a, "source", source).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	for i := range source.Cycles {
		w.cycle(run, i, 2, 1, func() *activities.Activities { return a })
	}
	mended = source.Reward
	mended.Step = 0.9
	in := replay.Input{Store: w.store, Selection: storage.Selection{Run: run}, To: -1, Group: source.Rollout.Group}
	in.Task, in.Stack, err = activities.NewInspector(a).Rewards(t.Context(), run, mended)
	require.NoError(t, err)
	in.Scoring, err = w.store.AddScoring(t.Context(), run, []byte(`{"reward":"mended"}`))
	require.NoError(t, err)
	require.Equal(t, 1, in.Scoring)
	_, err = replay.Run(t.Context(), in)
	require.NoError(t, err)
	return w, source, mended
}

// from is the job that goes on with the scored iterations of the source.
func from(source activities.Job, mended stack.Config, f activities.FromScoring) activities.Job {
	job := source
	job.Reward, job.FromScoring = mended, f
	job.FromScoring.Run = "source"
	job.PPO.Importance.Truncate, job.PPO.Importance.MaxStaleness = 2, job.FromScoring.MostStale()
	job.Cycles = job.FromScoring.Cycles() + 1
	return job
}

// A run from a scoring is the same however it is interrupted, learns from the source's samples under the new rewards, goes on sampling, and
// leaves the source as it was.
func TestRunFromAScoring(t *testing.T) {
	t.Parallel()
	w, source, mended := lent(t)
	theirs := storage.RunIDOf("source")
	before := w.everything(theirs)
	for name, f := range map[string]activities.FromScoring{
		"continued": {Scoring: 1, From: 1, To: 2, Version: 3},
		"offline":   {Scoring: 1, From: 0, To: 1, Version: 0},
		"alone":     {Scoring: 1, From: 0, To: 1, Version: -1},
	} {
		w.runFrom(name, from(source, mended, f))
	}
	require.Equal(t, before, w.everything(theirs), "the source is as it was")
}

// runFrom runs a job whole and in pieces, and holds what both left against each other and against the source.
func (w *world) runFrom(name string, job activities.Job) {
	w.Helper()
	t, f := w.T, job.FromScoring
	theirs := storage.RunIDOf("source")
	calm := w.process()
	run := w.prepare(calm, name, job).Run
	_, err := calm.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	first, err := w.store.Version(t.Context(), run, 0)
	require.NoError(t, err)
	if f.Version >= 0 {
		want, err := w.store.Version(t.Context(), theirs, f.Version)
		require.NoError(t, err)
		require.Equal(t, want.Weights, first.Weights)
		require.Equal(t, want.Optimiser, first.Optimiser)
	}
	broken := w.prepare(w.process(), name+"-broken", job).Run
	for range 2 {
		_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: broken})
		require.NoError(t, err)
	}
	for i := range job.Cycles {
		want := w.cycle(run, i, 1, 1, func() *activities.Activities { return calm })
		require.Equal(t, want.Manifest, w.cycle(broken, i, 3, 2, w.process).Manifest, "version %d", i+1)
	}
	w.requireSound(run)
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	for i := range job.Cycles {
		mine, err := w.store.LoadIteration(t.Context(), run, i)
		require.NoError(t, err)
		if i >= job.FromScoring.Cycles() {
			require.NotContains(t, metrics[i], "staleness")
			require.Equal(t, i, mine[0].Behaviour)
			continue
		}
		require.InDelta(t, job.FromScoring.Staleness(i), metrics[i]["staleness"], 0)
		require.Positive(t, metrics[i]["importance_mean"])
		w.requireCopy(run, i, theirs, f.From+i, job.FromScoring)
		again, err := activities.NewInspector(w.process()).Regenerate(t.Context(), run, i)
		require.NoError(t, err)
		for n, stored := range again.Stored {
			_, same := replay.Compare(stored, again.Again[n], again.Fingerprint)
			require.True(t, same)
		}
	}
}

// requireSound requires that all digests, counts and sums of a run hold.
func (w *world) requireSound(run hone.RunID) {
	w.Helper()
	report, err := verify.Run(w.Context(), verify.Input{Store: w.store, Blobs: w.blobs, Run: run})
	require.NoError(w, err)
	require.Empty(w, report.Faults)
}

// requireCopy requires that an iteration is the other run's, with the new scoring as its live one.
func (w *world) requireCopy(run hone.RunID, i int, theirs hone.RunID, their int, f activities.FromScoring) {
	w.Helper()
	mine, err := w.store.LoadIteration(w.Context(), run, i)
	require.NoError(w, err)
	source, err := w.store.LoadIteration(w.Context(), theirs, their)
	require.NoError(w, err)
	require.Len(w, mine, len(source))
	for n := range mine {
		require.Equal(w, f.Staleness(i), i-mine[n].Behaviour)
		mine[n].ID.Run, mine[n].ID.Iteration, mine[n].Behaviour = theirs, their, source[n].Behaviour
		require.Equal(w, source[n], mine[n])
		if source[n].Source == hone.SourceSearch {
			want, err := w.store.LoadTree(w.Context(), source[n].ID)
			require.NoError(w, err)
			got, err := w.store.LoadTree(w.Context(), hone.TrajectoryID{Run: run, Iteration: i, Sample: source[n].ID.Sample})
			require.NoError(w, err)
			require.Equal(w, want, got)
		}
	}
	want, err := w.store.LoadScoring(w.Context(), theirs, their, f.Scoring)
	require.NoError(w, err)
	got, err := w.store.LoadScoring(w.Context(), run, i, storage.LiveScoring)
	require.NoError(w, err)
	require.Equal(w, want, got)
	targets, err := w.store.LoadTargets(w.Context(), run, i)
	require.NoError(w, err)
	require.NotEmpty(w, targets)
	for _, target := range targets {
		require.InDelta(w, want[target.Sample].Breakdown.Total(), target.Reward, 0, "trained on the new reward")
	}
}

// everything is a run's samples, scorings and targets in one text.
func (w *world) everything(run hone.RunID) string {
	w.Helper()
	var all []any
	for i := range 3 {
		samples, err := w.store.LoadIteration(w.Context(), run, i)
		require.NoError(w, err)
		for scoring := range 2 {
			scored, err := w.store.LoadScoring(w.Context(), run, i, scoring)
			require.NoError(w, err)
			all = append(all, scored)
		}
		targets, err := w.store.LoadTargets(w.Context(), run, i)
		require.NoError(w, err)
		all = append(all, samples, targets)
	}
	text, err := json.Marshal(all)
	require.NoError(w, err)
	return string(text)
}

func TestFromScoringRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	w, source, mended := lent(t)
	good := activities.FromScoring{Scoring: 1, From: 0, To: 2, Version: 3}
	for want, change := range map[string]func(*activities.Job){
		"run \"nobody\"":                 func(j *activities.Job) { j.FromScoring.Run = "nobody" },
		"scoring 2 of run source has no": func(j *activities.Job) { j.FromScoring.Scoring = 2 },
		"rollout.group 2, this one 4":    func(j *activities.Job) { j.Rollout.Group = 4 },
		"other training problems":        func(j *activities.Job) { j.Game24.Wide = 10 },
		"another shape":                  func(j *activities.Job) { j.Policy.Layers = 2 },
		"sampled by":                     func(j *activities.Job) { j.Rollout.Sampling.Temperature = 0.9 },
		"importance.truncate is 0":       func(j *activities.Job) { j.PPO.Importance.Truncate = 0 },
		"up to 3 updates old":            func(j *activities.Job) { j.PPO.Importance.MaxStaleness = 2 },
		"cycles 2: iterations 0 to 2":    func(j *activities.Job) { j.Cycles = 2 },
		"scoring 1 of run source has no iteration 3": func(j *activities.Job) {
			j.FromScoring.To, j.FromScoring.From, j.PPO.Importance.MaxStaleness = 3, 1, 9
		},
		"version 4": func(j *activities.Job) { j.FromScoring.Version, j.PPO.Importance.MaxStaleness = 4, 9 },
		"run source has rollout.staleness 0": func(j *activities.Job) {
			j.FromScoring.Lag, j.PPO.Importance.MaxStaleness = 1, 9
		},
		"no run is": func(j *activities.Job) { j.FromScoring.Run = "" },
	} {
		job := from(source, mended, good)
		change(&job)
		config, err := json.Marshal(job)
		require.NoError(t, err)
		_, err = w.process().Prepare(context.Background(), activities.PrepareInput{Name: "refused", Config: config})
		require.ErrorContains(t, err, want, want)
	}
	_, err := w.store.RunNamed(t.Context(), "refused")
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestStalenessIsTheUpdatesBetweenSamplerAndLearner(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]activities.FromScoring{
		"[10 10 10]": {Run: "a", From: 0, To: 2, Version: 10},
		"[0 2 4]":    {Run: "a", From: 5, To: 7, Version: 5},
		"[3 5 7]":    {Run: "a", From: 3, To: 5, Version: -1},
		"[5 6 6]":    {Run: "a", From: 0, To: 2, Version: 5, Lag: 1},
		"[]":         {},
	} {
		got := []int{}
		most := 0
		for cycle := range f.Cycles() {
			got = append(got, f.Staleness(cycle))
			most = max(most, got[cycle])
		}
		require.Equal(t, want, fmt.Sprint(got))
		require.Equal(t, most, f.MostStale())
	}
}
