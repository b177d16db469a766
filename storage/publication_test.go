package storage_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
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
	_, err = s.Withdraw(t.Context(), "nightly", "worse in use")
	require.ErrorIs(t, err, hone.ErrInvalid, "there is nothing to go back to")
	use(0)
	for version := 2; version <= 4; version++ {
		p := save(fmt.Sprint(version+1), storage.Published, version)
		require.Equal(t, p, save(fmt.Sprint(version+1), storage.Refused, 1), "once made, it stays what it is")
		use(version)
	}
	now, err := s.Withdraw(t.Context(), "nightly", "worse in use")
	require.NoError(t, err)
	require.Equal(t, 3, now.Version)
	use(3)

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
