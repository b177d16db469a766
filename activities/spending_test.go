package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/rollout"
)

// someModel is a digest.
const someModel = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

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
		"puct+value=" + activities.Mode(someModel) + "@368": {Way: rollout.ModePUCT, Value: someModel, Budget: 368},
	} {
		got, err := activities.ParseMode(mode)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, mode, got.Mode())
	}
	for _, bad := range []activities.Mode{
		"", "guess", "puct", "puct@", "puct@0", "puct@-3", "greedy@5", "puct+fast@5", "puct+unshared+verified@5", "puct+leaves=x@5",
		"puct+leaves=0@5", "puct+value=@5", "puct+value=9f86@5", "puct+value=" + activities.Mode(someModel) + "+verified@5",
		"puct+verified+verified@5", "puct@05",
	} {
		_, err := activities.ParseMode(bad)
		require.ErrorIs(t, err, hone.ErrInvalid, "%q", bad)
	}
}
