package activities_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

func TestReadsAreAsFarBackAsUpdatesRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*activities.Job)
		want   int
	}{
		"an update reads its own cycle": {func(*activities.Job) {}, 0},
		"rejection reads a window":      {func(j *activities.Job) { j.Algorithm, j.Rejection.Window = activities.AlgorithmRejection, 4 }, 3},
		"a window of another algorithm": {func(j *activities.Job) { j.Rejection.Window = 4 }, 0},
		"a critic reads its warm-up":    {func(j *activities.Job) { j.PPO.CriticWarmup, j.PPO.CriticPretrain = 5, 1 }, 5},
		"a stale policy samples":        {func(j *activities.Job) { j.Rollout.Staleness, j.PPO.Importance.MaxStaleness = 2, 2 }, 2},
		"a search remembers": {func(j *activities.Job) {
			j.Rollout.Search.Cache = rollout.CacheConfig{Bytes: 1 << 20, Cycles: 4}
			j.Rollout.Staleness, j.PPO.Importance.MaxStaleness = 1, 1
		}, 5},
		"a stale sample may be met later": {func(j *activities.Job) { j.PPO.Importance.MaxStaleness = 3 }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := activities.DefaultJob()
			job.PPO.Importance.MaxStaleness = 0
			c.change(&job)
			config, err := json.Marshal(job)
			require.NoError(t, err)
			got, err := activities.Reads(storage.Run{NewRun: storage.NewRun{Config: config}})
			require.NoError(t, err)
			require.Equal(t, storage.Reads{Back: c.want}, got)
		})
	}
	_, err := activities.Reads(storage.Run{NewRun: storage.NewRun{Config: json.RawMessage(`{"unheard_of":1}`)}})
	require.ErrorIs(t, err, hone.ErrInvalid)
}
