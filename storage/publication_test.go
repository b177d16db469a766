package storage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

func TestAServiceUsesItsNewestPublishedPolicy(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := cycled(t, s, 4)
	save := func(request string, state storage.PublicationState, version int) storage.Publication {
		p := storage.Publication{
			Service: "nightly", Request: request, State: state, Reason: "as it is", Version: version, Details: json.RawMessage(`{"wins":1}`),
		}
		if state != storage.Skipped {
			p.Run, p.Problems = run, versionOf(version).Weights
		}
		saved, err := s.SavePublication(t.Context(), p, 3)
		require.NoError(t, err)
		return saved
	}
	use := func(version int) {
		t.Helper()
		p, err := s.InService(t.Context(), "nightly")
		require.NoError(t, err)
		require.Equal(t, version, p.Version)
		require.Equal(t, versionOf(version).Weights, p.Problems)
	}
	_, err := s.InService(t.Context(), "nightly")
	require.ErrorIs(t, err, hone.ErrNotFound)
	save("0", storage.Published, 0)
	save("1", storage.Refused, 1)
	require.Equal(t, storage.Skipped, save("2", storage.Skipped, 0).State)
	use(0)
	_, err = s.Withdraw(t.Context(), "nightly", 0, "worse in use")
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "another is needed to go back to")
	use(0)
	for version := 2; version <= 4; version++ {
		p := save(fmt.Sprint(version+1), storage.Published, version)
		require.Equal(t, p, save(fmt.Sprint(version+1), storage.Refused, 1), "once made, it stays what it is")
		use(version)
	}
	for range 2 {
		now, err := s.Withdraw(t.Context(), "nightly", 5, "worse in use")
		require.NoError(t, err)
		require.Equal(t, 3, now.Version)
		use(3)
	}
	for attempt, want := range map[int]error{0: hone.ErrInvalid, 1: hone.ErrInvalid, 3: hone.ErrInvalid, 9: hone.ErrNotFound} {
		_, err = s.Withdraw(t.Context(), "nightly", attempt, "worse in use")
		require.ErrorIs(t, err, want, attempt)
		use(3)
	}

	all, err := s.Publications(t.Context(), "nightly")
	require.NoError(t, err)
	var states []storage.PublicationState
	for _, p := range all {
		states = append(states, p.State)
	}
	require.Equal(t, []storage.PublicationState{
		storage.Withdrawn, storage.Published, storage.Published, storage.Skipped, storage.Refused, storage.Retired,
	}, states, "three are kept")
	require.Equal(t, "3 newer ones are kept", all[5].Reason)
	other, err := s.Publications(t.Context(), "weekly")
	require.NoError(t, err)
	require.Empty(t, other)
}

// What was refused or has retired is collected, and neither what is in service nor what runs, scorings, changes, services and
// measurements name.
func TestUnpublishedPoliciesAreCollected(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	put := func(text string) blob.Digest {
		digest, _, err := blobs.Put(t.Context(), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		require.NoError(t, err)
		return digest
	}
	run, _ := cycled(t, s, 4)
	trained, fresh, stray := put("4 5 6 10\n1 2 3 4\n"), put("1 2 3 4\n"), put("nobody's")
	layers := func(model string) string {
		return `{"layers":[{"layer":"step"},{"layer":"preference","preference":{"model":"blob:` + string(put(model)) + `"}}]}`
	}
	_, err = s.AddScoring(t.Context(), run, json.RawMessage(`{"reward":`+layers("a scoring's model")+`}`))
	require.NoError(t, err)
	_, err = s.CreateRun(t.Context(), storage.NewRun{Name: "judged", Config: json.RawMessage(`{"reward":` + layers("a run's model") + `}`)})
	require.NoError(t, err)
	_, err = s.CreateRun(t.Context(), storage.NewRun{Name: "listed", Config: json.RawMessage(`{"problems":"` + string(trained) + `"}`)})
	require.NoError(t, err)
	mode := "puct+value=" + string(put("a value model")) + "@368"
	answered := storage.EvaluationKey{Run: run, Version: 4, Split: hone.SplitHeldOut, Mode: mode}
	require.NoError(t, s.SaveEvaluation(t.Context(), answered, []storage.Answer{{
		Problem: hone.Problem{Task: "game24", Key: "4 5 6 10"}, Outcome: hone.OutcomeWrong, Reason: "as it is",
	}}))
	for i, state := range []storage.PublicationState{storage.Published, storage.Refused, storage.Published, storage.Published} {
		_, err := s.SavePublication(t.Context(), storage.Publication{
			Service: "nightly", Request: fmt.Sprint(i), State: state, Reason: "as it is", Run: run, Version: i + 1,
			Problems: fresh, Details: json.RawMessage("{}"),
		}, 1)
		require.NoError(t, err)
	}
	lost, err := s.Expire(t.Context(), storage.Retention{}, back(0), false)
	require.NoError(t, err)
	require.Equal(t, []storage.Expired{{Run: run, Name: runName(t, s, run), Weights: []int{1, 2, 3}, Optimisers: []int{1, 2, 3}}}, lost)
	lost, err = s.Expire(t.Context(), storage.Retention{}, back(0), false)
	require.NoError(t, err)
	require.Empty(t, lost)
	swept, err := s.Sweep(t.Context(), blobs, time.Now().Add(time.Hour), false)
	require.NoError(t, err)
	require.Equal(t, []blob.Digest{stray}, swept.Deleted)
	require.Equal(t, 5, swept.Kept)
}

// A run that a schedule trained and no service uses any more keeps nothing once it has ended, but for who measures divergence from its
// start; one that a person made and put into service keeps all but what was retired.
func TestRunsOfAttemptsThatAreSpentKeepNothing(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	base, _ := cycled(t, s, 2)
	attempt := func(name string, version int, problems blob.Digest) hone.RunID {
		fork, err := s.ForkRun(t.Context(), storage.Fork{Parent: base, Version: 2, Run: newRun(name), Restart: true})
		require.NoError(t, err)
		fence, err := s.AcquireLease(t.Context(), fork.ID, "trainer", hour)
		require.NoError(t, err)
		startIteration(t, s, fork.ID, 0)
		_, err = s.CommitCycle(t.Context(), cycle(fork.ID, fence, 0))
		require.NoError(t, err)
		_, err = s.SavePublication(t.Context(), storage.Publication{
			Service: "nightly", Request: name, State: storage.Published, Run: fork.ID, Version: version, Problems: problems, Details: []byte("{}"),
		}, 1)
		require.NoError(t, err)
		return fork.ID
	}
	byHand := attempt("by hand", 1, "")
	spent := attempt("spent", 1, versionOf(9).Weights)
	used := attempt("used", 1, versionOf(9).Weights)
	lost := func(reader storage.Reader) map[hone.RunID][]int {
		all, err := s.Expire(t.Context(), storage.Retention{}, reader, true)
		require.NoError(t, err)
		out := make(map[hone.RunID][]int)
		for _, one := range all {
			out[one.Run] = one.Weights
		}
		return out
	}
	require.Empty(t, lost(back(0)), "they may go on from there")
	for _, run := range []hone.RunID{byHand, spent, used} {
		require.NoError(t, s.SetStatus(t.Context(), run, storage.StatusSucceeded, ""))
	}
	require.Equal(t, map[hone.RunID][]int{byHand: {1}, spent: {0, 1}}, lost(back(0)))
	require.Equal(t, map[hone.RunID][]int{byHand: {1}, spent: {1}}, lost(func(r storage.Run) (storage.Reads, error) {
		switch r.ID {
		case base:
			return storage.Reads{Loan: storage.Loan{Run: "used", Version: 1, To: -1}}, nil
		case used:
			return storage.Reads{Loan: storage.Loan{Run: "spent", Version: 1, To: -1}}, nil
		default:
			return storage.Reads{}, nil
		}
	}))
}
