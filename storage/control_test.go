package storage_test

import (
	"encoding/json"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// cycled is a run of n cycles.
func cycled(t testing.TB, s *storage.Store, n int) (run hone.RunID, fence int64) {
	t.Helper()
	run, fence = createRun(t, s)
	for i := range n {
		startIteration(t, s, run, i)
		_, err := s.CommitCycle(t.Context(), cycle(run, fence, i))
		require.NoError(t, err)
	}
	return run, fence
}

// to is a changer of one key.
func to(key, value string) storage.Changer {
	return func(before []storage.Change) ([]storage.Change, error) {
		old := json.RawMessage("0")
		for _, c := range before {
			if c.Key == key {
				old = c.New
			}
		}
		return []storage.Change{{Key: key, Old: old, New: json.RawMessage(value)}}, nil
	}
}

func TestChangesHoldFromTheFirstCycleThatHasNotBegun(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := cycled(t, s, 1)
	first, err := s.ChangeSettings(t.Context(), run, "a", to("ppo.epochs", "2"))
	require.NoError(t, err)
	require.Equal(t, 1, first[0].Iteration, "version 1 has sampled nothing yet")

	startIteration(t, s, run, 1)
	second, err := s.ChangeSettings(t.Context(), run, "b", to("ppo.epochs", "3"))
	require.NoError(t, err)
	require.Equal(t, 2, second[0].Iteration, "cycle 1 is under way")
	require.JSONEq(t, "2", string(second[0].Old))
	again, err := s.ChangeSettings(t.Context(), run, "b", to("ppo.epochs", "4"))
	require.NoError(t, err)
	require.Equal(t, second, again, "asking twice is asking once")

	for iteration, want := range map[int]int{0: 0, 1: 1, 2: 2, 9: 2, -1: 2} {
		changes, err := s.Changes(t.Context(), run, iteration)
		require.NoError(t, err)
		require.Len(t, changes, want, "cycle %d", iteration)
	}
	_, err = s.ChangeSettings(t.Context(), storage.RunIDOf("nobody"), "a", to("x", "1"))
	require.ErrorIs(t, err, hone.ErrNotFound)
}

// However a change and the start of a cycle race, the cycle sees all of its changes from the start.
func TestNoChangeComesIntoACycleThatHasBegun(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	for i := range 10 {
		var group errgroup.Group
		var seen []storage.Change
		group.Go(func() (err error) {
			if err := s.StartIteration(t.Context(), storage.Iteration{Run: run, Iteration: i, Behaviour: i, Prompts: 1}); err != nil {
				return err
			}
			seen, err = s.Changes(t.Context(), run, i)
			return err
		})
		group.Go(func() error {
			_, err := s.ChangeSettings(t.Context(), run, string(rune('a'+i)), to("ppo.epochs", "1"))
			return err
		})
		require.NoError(t, group.Wait())
		now, err := s.Changes(t.Context(), run, i)
		require.NoError(t, err)
		require.Equal(t, now, seen, "cycle %d", i)
		_, err = s.CommitCycle(t.Context(), cycle(run, fence, i))
		require.NoError(t, err)
	}
}

func TestRollbackPublishesOlderContentAgain(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := cycled(t, s, 3)
	startIteration(t, s, run, 3)
	for range 2 {
		version, err := s.Rollback(t.Context(), storage.Rollback{Run: run, From: 3, To: 1})
		require.NoError(t, err)
		require.Equal(t, 4, version)
	}
	head, err := s.Head(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, 4, head.Number)
	require.Equal(t, versionOf(1), head.Version)
	third, err := s.Version(t.Context(), run, 3)
	require.NoError(t, err)
	require.Equal(t, versionOf(3), third, "nothing that was trained is lost")
	restored, err := s.Restored(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, map[int]int{4: 1}, restored)

	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 4))
	require.ErrorIs(t, err, hone.ErrConflict, "a trainer that was at work before")
	_, err = s.Rollback(t.Context(), storage.Rollback{Run: run, From: 3, To: 0})
	require.ErrorIs(t, err, hone.ErrConflict)
	for _, to := range []int{-1, 4, 5} {
		_, err = s.Rollback(t.Context(), storage.Rollback{Run: run, From: 4, To: to})
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
	fence, err = s.AcquireLease(t.Context(), run, "trainer", 1e9)
	require.NoError(t, err)
	startIteration(t, s, run, 4)
	_, err = s.CommitCycle(t.Context(), cycle(run, fence, 4))
	require.NoError(t, err)
}

// Cycles that may have been sampled ahead are passed over, whether they were or not, and nobody begins them later.
func TestRollbackPassesOverWhatMayHaveBeenSampledAhead(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := cycled(t, s, 3)
	begin := func(iteration, behaviour int) error {
		return s.StartIteration(t.Context(), storage.Iteration{Run: run, Iteration: iteration, Behaviour: behaviour, Prompts: 1})
	}
	for i := 3; i <= 4; i++ {
		require.NoError(t, begin(i, i-2))
	}
	back := storage.Rollback{Run: run, From: 3, To: 1, Ahead: 2}
	for range 2 {
		version, err := s.Rollback(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, 6, version)
	}
	restored, err := s.Restored(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, map[int]int{4: 1, 5: 1, 6: 1}, restored)
	require.ErrorContains(t, begin(5, 3), "the run is at version 6 already")
	require.ErrorIs(t, begin(5, 3), hone.ErrConflict)
	require.NoError(t, begin(4, 2), "it was begun before, and stays abandoned")
	require.NoError(t, begin(6, 4))
	inv, err := s.Inventory(t.Context(), run)
	require.NoError(t, err)
	statuses := make(map[int]storage.IterationStatus)
	for _, it := range inv.Iterations {
		statuses[it.Iteration.Iteration] = it.Status
	}
	const done, open, abandoned = storage.IterationDone, storage.IterationOpen, storage.IterationAbandoned
	require.Equal(t, map[int]storage.IterationStatus{0: done, 1: done, 2: done, 3: abandoned, 4: abandoned, 6: open}, statuses)
	back.Ahead = 1
	_, err = s.Rollback(t.Context(), back)
	require.ErrorIs(t, err, hone.ErrConflict)
	back.Ahead = -1
	_, err = s.Rollback(t.Context(), back)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

// A run that went back shows the cycle that made the policy it has, also after going back again to where it went back to.
func TestProgressIsThatOfWhatTheHeadHas(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, fence := createRun(t, s)
	require.NoError(t, s.SaveMetrics(t.Context(), run, -1, map[string]float64{"reward": -1}))
	at := func() (version, content, iteration int) {
		t.Helper()
		p, err := s.Progress(t.Context(), run)
		require.NoError(t, err)
		all, err := s.Runs(t.Context())
		require.NoError(t, err)
		require.Equal(t, []storage.Progress{p}, all)
		require.InDelta(t, float64(p.Iteration), p.Metrics["reward"], 0)
		return p.Version, p.Content, p.Iteration
	}
	commit := func(i int) {
		t.Helper()
		startIteration(t, s, run, i)
		c := cycle(run, fence, i)
		c.Metrics = map[string]float64{"reward": float64(i)}
		_, err := s.CommitCycle(t.Context(), c)
		require.NoError(t, err)
	}
	back := func(from, to int) {
		t.Helper()
		_, err := s.Rollback(t.Context(), storage.Rollback{Run: run, From: from, To: to})
		require.NoError(t, err)
		fence, err = s.AcquireLease(t.Context(), run, "trainer", 1e9)
		require.NoError(t, err)
	}
	for i := range 3 {
		commit(i)
	}
	for _, step := range []struct {
		name string
		do   func()
		want [3]int
	}{
		{"trained", func() {}, [3]int{3, 3, 2}},
		{"went back", func() { back(3, 1) }, [3]int{4, 1, 0}},
		{"went back to that", func() { back(4, 3); back(5, 4) }, [3]int{6, 1, 0}},
		{"went on", func() { commit(6) }, [3]int{7, 7, 6}},
		{"went back to the start", func() { back(7, 0) }, [3]int{8, 0, -1}},
	} {
		step.do()
		version, content, iteration := at()
		require.Equal(t, step.want, [3]int{version, content, iteration}, step.name)
	}
	_, err := s.Progress(t.Context(), storage.RunIDOf("nobody"))
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestForksGoOnFromAVersion(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	parent, _ := cycled(t, s, 3)
	old, err := s.Run(t.Context(), parent)
	require.NoError(t, err)
	next := old.NewRun
	next.Name = "fork"
	f := storage.Fork{Parent: parent, Version: 2, Run: next}
	var fork storage.Run
	for range 2 {
		fork, err = s.ForkRun(t.Context(), f)
		require.NoError(t, err)
	}
	require.Equal(t, parent, fork.Parent)
	require.Equal(t, 2, fork.ParentVersion)
	require.Equal(t, 2, fork.FirstCycle)
	head, err := s.Head(t.Context(), fork.ID)
	require.NoError(t, err)
	require.Equal(t, 2, head.Number)
	require.Equal(t, versionOf(2), head.Version)
	first, err := s.Version(t.Context(), fork.ID, 0)
	require.NoError(t, err)
	require.Equal(t, versionOf(0), first, "the reference")
	metrics, err := s.Metrics(t.Context(), fork.ID)
	require.NoError(t, err)
	require.Contains(t, metrics, 1)
	require.NotContains(t, metrics, 2)

	next.Name = "fork of the fork"
	grandchild, err := s.ForkRun(t.Context(), storage.Fork{Parent: fork.ID, Version: 2, Run: next, State: json.RawMessage(`{"beta":9}`)})
	require.NoError(t, err)
	for iteration, want := range map[int]hone.RunID{0: parent, 1: parent, 2: grandchild.ID, 7: grandchild.ID} {
		owner, err := s.Owner(t.Context(), grandchild.ID, iteration)
		require.NoError(t, err)
		require.Equal(t, want, owner)
	}
	head, err = s.Head(t.Context(), grandchild.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"beta":9}`, string(head.State))

	next.Name = "anew"
	anew, err := s.ForkRun(t.Context(), storage.Fork{Parent: parent, Version: 3, Run: next, Restart: true})
	require.NoError(t, err)
	head, err = s.Head(t.Context(), anew.ID)
	require.NoError(t, err)
	require.Equal(t, 0, head.Number)
	require.Equal(t, versionOf(3), head.Version)

	_, err = s.ForkRun(t.Context(), storage.Fork{Parent: parent, Version: 1, Run: next, Restart: true})
	require.ErrorIs(t, err, hone.ErrConflict)
	next.Name = "of nothing"
	_, err = s.ForkRun(t.Context(), storage.Fork{Parent: parent, Version: 4, Run: next})
	require.ErrorIs(t, err, hone.ErrNotFound)
}
