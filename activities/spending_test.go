package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/rollout"
)

func TestModesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for mode, want := range map[activities.Mode]activities.Spending{
		"greedy":               {Way: rollout.ModeGreedy},
		"search":               {Way: rollout.ModeSearch},
		"verified":             {Way: rollout.ModeSearch, Verified: true},
		"puct@2000":            {Way: rollout.ModePUCT, Budget: 2000},
		"best_of+verified@500": {Way: rollout.ModeBestOf, Verified: true, Budget: 500},
		"gumbel+verified+leaves=16+unshared@7": {
			Way: rollout.ModeGumbel, Verified: true, Leaves: 16, Unshared: true, Budget: 7,
		},
	} {
		got, err := activities.ParseMode(mode)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, mode, got.Mode())
	}
	for _, bad := range []activities.Mode{
		"", "guess", "puct", "puct@", "puct@0", "puct@-3", "greedy@5", "puct+fast@5", "puct+unshared+verified@5", "puct+leaves=x@5",
		"puct+leaves=0@5", "puct+verified+verified@5", "puct@05",
	} {
		_, err := activities.ParseMode(bad)
		require.ErrorIs(t, err, hone.ErrInvalid, "%q", bad)
	}
}
