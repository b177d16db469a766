package activities_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// stale is a run whose samples are behind by up to so many versions.
func stale(by int) activities.Job {
	job := tiny()
	job.Cycles, job.Rollout.Staleness = 4, by
	job.PPO.Importance.MaxStaleness, job.PPO.Importance.Truncate = by, 2
	return job
}

// TestOverlappedRunIsTheSameWhateverTheTiming samples in turn with the updates, as early as may be, and beside them in one process.
func TestOverlappedRunIsTheSameWhateverTheTiming(t *testing.T) {
	t.Parallel()
	for by := 1; by <= 2; by++ {
		t.Run(fmt.Sprintf("staleness %d", by), func(t *testing.T) {
			t.Parallel()
			job := stale(by)
			job.PPO.GroupSpread, job.Rollout.TopUp = 0.01, 2
			w := setup(t)
			w.behind = by
			begin := func(name string) (hone.RunID, *activities.Activities) {
				a := w.process()
				prepared := w.prepare(a, name, job)
				require.Equal(t, by, prepared.Staleness)
				_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: prepared.Run})
				require.NoError(t, err)
				return prepared.Run, a
			}
			same := func(a *activities.Activities) func() *activities.Activities {
				return func() *activities.Activities { return a }
			}

			inTurn, a := begin("in turn")
			var want []string
			for i := range job.Cycles {
				want = append(want, w.cycle(inTurn, i, 1, 1, same(a)).Manifest)
			}
			early, _ := begin("early")
			for i := range job.Cycles {
				for next := i; next <= min(i+by, job.Cycles-1); next++ { // what was sampled before is found
					w.scored(early, next, 3, 1, w.process)
				}
				require.Equal(t, want[i], w.update(early, i, 2, w.process).Manifest, "version %d", i+1)
			}
			beside, b := begin("beside")
			w.scored(beside, 0, 2, 1, same(b))
			for i := range job.Cycles {
				var group errgroup.Group
				group.Go(func() error {
					for next := i + 1; next <= min(i+by, job.Cycles-1); next++ {
						w.scored(beside, next, 2, 1, same(b))
					}
					return nil
				})
				require.Equal(t, want[i], w.update(beside, i, 1, same(b)).Manifest, "version %d", i+1)
				require.NoError(t, group.Wait())
			}
			for i := range job.Cycles {
				stored, err := w.store.LoadIteration(t.Context(), early, i)
				require.NoError(t, err)
				require.NotEmpty(t, stored)
				for _, trajectory := range stored {
					require.Equal(t, max(0, i-by), trajectory.Behaviour)
				}
				metrics, err := w.store.IterationMetrics(t.Context(), early, i)
				require.NoError(t, err)
				require.Zero(t, metrics["stale"], "all that was sampled is learned from")
			}
		})
	}
}

// TestGoingBackForgetsWhatWasSampledAhead goes back with nothing, something and all sampled ahead that may be: what follows is the same,
// and nothing of it was sampled by a version that was given up.
func TestGoingBackForgetsWhatWasSampledAhead(t *testing.T) {
	t.Parallel()
	job := stale(2)
	job.Cycles = 7
	w := setup(t)
	w.behind = 2
	var want []string
	for ahead := range 4 {
		run := w.started(fmt.Sprint("ahead ", ahead), job)
		for i := range 2 {
			w.cycle(run, i, 1, 1, w.process)
		}
		for next := range ahead {
			w.scored(run, 2+next, 1, 1, w.process)
		}
		var out activities.RollBackOutput
		for range 2 {
			var err error
			out, err = w.process().RollBack(t.Context(), activities.RollBackInput{Run: run, From: 2, To: 1})
			require.NoError(t, err)
		}
		require.Equal(t, 5, out.Version)
		_, err := w.process().RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Iteration: 4, Behaviour: 2, Shards: 1})
		if ahead < 3 {
			require.ErrorContains(t, err, "the run is at version 5 already", "who is late begins nothing")
		}
		var got []string
		for i := out.Version; i < job.Cycles; i++ {
			got = append(got, w.cycle(run, i, 2, 1, w.process).Manifest)
			stored, err := w.store.LoadIteration(t.Context(), run, i)
			require.NoError(t, err)
			require.Equal(t, i-2, stored[0].Behaviour)
		}
		if ahead == 0 {
			want = got
		}
		require.Equal(t, want, got, "%d cycles were sampled ahead", ahead)
		restored, err := w.store.Restored(t.Context(), run)
		require.NoError(t, err)
		require.Equal(t, map[int]int{3: 1, 4: 1, 5: 1}, restored, "which sample the cycles that follow")
		w.requireSound(run)
	}
}

func TestStalenessIsHeldToItsRule(t *testing.T) {
	t.Parallel()
	job := stale(1)
	job.PPO.Importance.MaxStaleness = 0
	require.ErrorContains(t, job.Validate(), "rollout: staleness 1: ppo.importance.max_staleness is 0")
	job = stale(17)
	require.ErrorContains(t, job.Validate(), "staleness 17: want 0 to 16")

	w := setup(t)
	a := w.process()
	run := w.prepare(a, "ruled", stale(1)).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	_, err = a.RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Iteration: 2, Behaviour: 0, Shards: 1})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "iteration 2 sampled by version 0: with staleness 1 want version 1")
}
