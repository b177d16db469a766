package replay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
)

// TestSamplesAreReplayedLikeStoredOnes replays the same trajectories out of memory and out of Postgres.
func TestSamplesAreReplayedLikeStoredOnes(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 96)
	all, err := f.store.LoadIteration(t.Context(), f.run, 0)
	require.NoError(t, err)
	samples, err := replay.NewSamples(t.Context(), all, group, f.live)
	require.NoError(t, err)
	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	in := f.input(t, cfg)
	want, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Positive(t, want.Changed)
	in.Store = samples
	got, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, want, got)

	in.Keep = []string{"step"}
	_, err = replay.Run(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrInvalid)
	in.Keep, in.Selection = nil, storage.Selection{Run: f.run, Text: "10"}
	_, err = replay.Run(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = replay.NewSamples(t.Context(), all[:5], group, f.live)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = replay.NewSamples(t.Context(), all[4:], group, f.live)
	require.ErrorIs(t, err, hone.ErrInvalid)
}
