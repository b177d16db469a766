package activities_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/rollout"
)

// easy is a job whose supervised start learns a few problems of two steps by heart, in seconds, so that some answers are right.
func easy() activities.Job {
	job := tiny()
	job.Task = "countdown"
	c := &job.Countdown
	c.Train, c.HeldOut, c.MinNumbers, c.MaxNumbers, c.MaxNumber, c.MaxTarget = 12, 4, 3, 3, 20, 60
	job.Policy.Width, job.Policy.Layers, job.Policy.Hidden, job.Policy.Context = 64, 2, 128, 128
	job.Start.Traces, job.Start.Solve, job.Start.Walk = 80, 1, 0
	job.Start.SFT.Epochs, job.Start.SFT.BatchTokens, job.Start.SFT.LearningRate = 16, 256, 3e-3
	job.Cycles, job.Prompts, job.Searched = 2, 12, 6
	job.Rollout.Group, job.Rollout.MaxTokens = 2, 40
	job.Rollout.Search.Tree.Simulations, job.Rollout.Search.Candidates = 6, 2
	return job
}

// Searches remember what cycles before them solved, the same in whatever process and shard.
func TestRunThatRemembersPathsIsTheSame(t *testing.T) {
	t.Parallel()
	set, err := kernel.Open()
	require.NoError(t, err)
	job := easy()
	job.Rollout.Search.Cache = rollout.CacheConfig{Bytes: 1 << 20, Cycles: 2, Share: 0.5}
	w := setup(t)
	w.set = set
	train := func(name string, job activities.Job, shards int, next func() *activities.Activities) (run hone.RunID, manifest string) {
		run = w.prepare(next(), name, job).Run
		_, err := next().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
		require.NoError(t, err)
		for cycle := range job.Cycles {
			manifest = w.cycle(run, cycle, shards, 1, next).Manifest
		}
		return run, manifest
	}
	one := w.process()
	run, want := train("straight", job, 1, func() *activities.Activities { return one })
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	require.Zero(t, metrics[0]["cache_hits"], "nothing came before")
	require.Zero(t, metrics[0]["cache_states"])
	require.Positive(t, metrics[0]["search_tokens"])
	require.Positive(t, metrics[1]["cache_hits"])
	require.LessOrEqual(t, metrics[1]["cache_hits"], metrics[1]["search_states"])
	require.Greater(t, metrics[1]["cache_bytes"], 96*metrics[1]["cache_states"])
	require.LessOrEqual(t, metrics[1]["cache_bytes"], float64(job.Rollout.Search.Cache.Bytes))

	same, err := activities.NewInspector(w.process()).Regenerate(t.Context(), run, 1)
	require.NoError(t, err)
	require.Equal(t, same.Stored, same.Again, "searched again, with what was remembered then")

	again, got := train("interrupted", job, 3, w.process)
	require.Equal(t, want, got)
	others, err := w.store.Metrics(t.Context(), again)
	require.NoError(t, err)
	for _, name := range []string{"cache_hits", "cache_states", "cache_bytes", "search_tokens", "search_states"} {
		require.InDelta(t, metrics[1][name], others[1][name], 0, name)
	}
}

// A search that writes nothing twice, within a budget, as a cycle makes it: no tree takes more than its budget, and what was written for
// all is counted.
func TestCycleSearchesWithinItsBudget(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Cycles = 1
	s := &job.Rollout.Search
	s.Forks, s.Rollout, s.Candidates = true, 1, 4
	s.Tree.Offers, s.Tree.Share, s.Tree.Close, s.Tree.NoiseFraction = true, true, true, 0
	s.Tree.Budget, s.Tree.Simulations = 60, 960
	w := setup(t)
	run := w.prepare(w.process(), "budget", job).Run
	_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	w.cycle(run, 0, 2, 1, w.process)
	metrics, err := w.store.IterationMetrics(t.Context(), run, 0)
	require.NoError(t, err)
	sum := 0.0
	for slot := job.Prompts; slot < job.Prompts+job.Searched; slot++ {
		tokens := metrics[fmt.Sprintf("search_tokens_slot_%d", slot)]
		require.Positive(t, tokens)
		require.LessOrEqual(t, tokens, float64(s.Tree.Budget))
		sum += tokens
	}
	require.InDelta(t, sum, metrics["search_tokens"], 0)
	stored, err := w.store.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	lines := 0
	for _, one := range stored {
		if one.Source == hone.SourceSearch {
			lines += len(one.Tokens)
		}
	}
	require.InDelta(t, metrics["generated_tokens"]-float64(lines)+sum, metrics["written_tokens"], 0)
}
