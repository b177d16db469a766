package replay_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
)

func TestAHealthyRunShowsNoSigns(t *testing.T) {
	t.Parallel()
	f := setup(t, 6, 16)
	r, err := replay.Inspect(t.Context(), f.store, f.run, group, f.task)
	require.NoError(t, err)
	require.Equal(t, 96, r.Trajectories)
	require.InDelta(t, 0.5, r.Early.Right, 1e-12)
	require.Empty(t, r.Signs)
	require.Empty(t, r.Paid)
}

// TestAHackedRunIsFoundOut stores a run whose samples turn from work into padding that its reward pays for.
func TestAHackedRunIsFoundOut(t *testing.T) {
	t.Parallel()
	f := setup(t, 0, 0)
	hacked, err := stack.New(stack.Config{WrongMayWin: true, Layers: []stack.LayerConfig{
		{Layer: "format", Weight: 1}, {Layer: "correctness", Weight: 0.01},
	}}, f.task)
	require.NoError(t, err)
	p, err := f.task.Problem("4 5 6 10")
	require.NoError(t, err)
	padding := strings.Repeat("10 - 4 = 6 (left: 5 6 6)\nback (left: 4 5 6 10)\n", 6)
	for i := range 6 {
		shard := storage.Shard{Key: storage.ShardKey{Run: f.run, Iteration: i}}
		var scored []storage.Scored
		for sample := range 8 {
			text := "hm\n" + texts[0]
			switch {
			case i < 2 && sample > 0:
				text = texts[3]
			case i >= 2 && sample%2 == 1:
				text = padding + "Answer: 4 + 5 + 6 + 10 = 25\n"
			case i >= 2 && sample > 0:
				text = texts[2]
			}
			traj := rewardtest.Trajectory(f.task, p, text)
			traj.ID = hone.TrajectoryID{Run: f.run, Iteration: i, Sample: sample}
			b, err := hacked.Score(t.Context(), p, traj)
			require.NoError(t, err)
			shard.Trajectories = append(shard.Trajectories, traj)
			scored = append(scored, storage.Scored{Sample: sample, Breakdown: b})
		}
		require.NoError(t, f.store.SaveShard(t.Context(), shard))
		require.NoError(t, f.store.SaveScoring(t.Context(), storage.ScoringKey{ShardKey: shard.Key}, scored))
	}
	r, err := replay.Inspect(t.Context(), f.store, f.run, group, f.task)
	require.NoError(t, err)
	var names []string
	for _, s := range r.Signs {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"wrong-and-paid", "layer-without-accuracy", "length-drift", "bare-answers", "idle-steps"}, names)
	require.NotEmpty(t, r.Paid)
	var text strings.Builder
	r.WriteText(&text, "tiny")
	require.Contains(t, text.String(), "layer format went from")
	require.Contains(t, text.String(), "  tiny/")
}
