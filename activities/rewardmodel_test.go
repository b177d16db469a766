package activities_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/rewardmodel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
)

// answered stores two iterations of right and wrong answers, and of one that was cut off, with their live scoring.
func (w *world) answered(run hone.RunID, inspect activities.Inspector, cfg stack.Config) {
	w.Helper()
	tk, rewards, err := inspect.Rewards(w.Context(), run, cfg)
	require.NoError(w, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(w, err)
	for i := range 2 {
		shard := storage.Shard{Key: storage.ShardKey{Run: run, Iteration: i}}
		var scored []storage.Scored
		for sample, text := range []string{
			"10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n",
			"Answer: 4 + 5 + 6 + 10 = 25\n", "Answer: 4 * 5 + 6 + 10 = 36\n", "10 - 4 = 6 (left: 5 6 6)\n",
		} {
			t := rewardtest.Trajectory(tk, p, text)
			t.ID = hone.TrajectoryID{Run: run, Iteration: i, Sample: sample}
			if sample == 3 {
				t.Finish = hone.FinishLength
			}
			b, err := rewards.Score(w.Context(), p, t)
			require.NoError(w, err)
			shard.Trajectories = append(shard.Trajectories, t)
			scored = append(scored, storage.Scored{Sample: sample, Breakdown: b})
		}
		require.NoError(w, w.store.SaveShard(w.Context(), shard))
		require.NoError(w, w.store.SaveScoring(w.Context(), storage.ScoringKey{ShardKey: shard.Key}, scored))
	}
}

// TestARunsPreferencesBecomeALayer makes pairs of what a run stored, trains a reward model on them, and replays the run under it: twice,
// in two processes, to the same bits.
func TestARunsPreferencesBecomeALayer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	run := w.started("preferring", job)
	inspect := activities.NewInspector(w.process())
	w.answered(run, inspect, job.Reward)
	var pairs []dpo.Pair
	gather := func() {
		pairs = nil
		last := -1
		require.NoError(t, inspect.Preferences(t.Context(), run, 2, func(iteration int, some []dpo.Pair) error {
			require.Greater(t, iteration, last)
			last = iteration
			pairs = append(pairs, some...)
			return nil
		}))
		require.Equal(t, 1, last)
	}
	gather()
	first := pairs
	gather()
	require.Equal(t, first, pairs)
	require.Len(t, pairs, 4, "the right one against each wrong one, in two iterations")
	tok, err := token.Open(activities.Tokenizer)
	require.NoError(t, err)
	for _, p := range pairs {
		require.NotEqual(t, p.Chosen, p.Rejected)
		require.Equal(t, "Use 4 5 6 10 to make 24.\n", tok.Decode(p.Prefix))
		require.Contains(t, tok.Decode(p.Chosen), "= 24\n")
		require.NotContains(t, tok.Decode(p.Rejected), "24")
		for _, side := range [][]hone.TokenID{p.Chosen, p.Rejected} {
			require.Equal(t, tok.EOS(), side[len(side)-1])
		}
	}

	params, err := inspect.Params(t.Context(), run, 0)
	require.NoError(t, err)
	before := params.Digest()
	cfg := rewardmodel.DefaultConfig()
	cfg.Epochs = 1
	stats, err := rewardmodel.Train(t.Context(), rewardmodel.Input{Params: params, Set: w.set, Config: cfg, Pairs: pairs, Seed: 1})
	require.NoError(t, err)
	require.NotEqual(t, before, params.Digest())
	again, err := inspect.Params(t.Context(), run, 0)
	require.NoError(t, err)
	require.Equal(t, before, again.Digest(), "the run's policy is left as it was")

	path := filepath.Join(t.TempDir(), "rm.safetensors")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, rewardmodel.Save(file, params, tok, stats))
	require.NoError(t, file.Close())
	rewards := stack.Config{Layers: []stack.LayerConfig{
		{Layer: "correctness", Weight: 1},
		{Layer: "preference", Weight: 0.1, Preference: &preference.Config{Model: path, Digest: params.Digest()}},
	}}
	in := replay.Input{Store: w.store, Selection: storage.Selection{Run: run}, To: -1, Group: job.Rollout.Group}
	in.Task, in.Stack, err = inspect.Rewards(t.Context(), run, rewards)
	require.NoError(t, err)
	digest, _, err := w.blobs.Put(t.Context(), func(to io.Writer) error { return rewardmodel.Save(to, params, tok, stats) })
	require.NoError(t, err)
	rewards.Layers[1].Preference.Model = preference.Stored + string(digest)
	_, in.Against, err = activities.NewInspector(w.process()).Rewards(t.Context(), run, rewards)
	require.NoError(t, err)
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 8, r.Trajectories)
	require.Zero(t, r.Changed)
	require.Greater(t, r.Before.Mean, 0.0)

	for _, gone := range []string{filepath.Join(t.TempDir(), "gone"), preference.Stored + strings.Repeat("ab", 32)} {
		rewards.Layers[1].Preference.Model = gone
		_, _, err = inspect.Rewards(t.Context(), run, rewards)
		require.ErrorIs(t, err, hone.ErrNotFound, gone)
	}
	_, err = activities.RewardModels(t.Context(), w.set, nil)(preference.Config{Model: preference.Stored + string(digest)})
	require.ErrorIs(t, err, hone.ErrInvalid)
}
