package ppo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
)

// A setting that is not used changes no bit: these digests of the parameters after two updates were taken before there was more
// than the clipped loss, two estimators of advantages and the token mean. They hold for the portable kernels on amd64.
func TestUnusedSettingsChangeNoBit(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"default": {func(*Config) {}, "9e6eb5f6a26888fdb5b8ccaa2ad7238702fb0a6014d18e0372769bdfdd540b5b"},
		"demo": {func(c *Config) {
			c.Truncation, c.Lambda, c.GroupSpread, c.ValueCoef, c.EntropyCoef, c.KLTarget, c.Epochs = TruncationTerminal, 1, 0.5, 1, 0.01, 0, 1
		}, "8ed2cf5a333718ed663c6aa1eb575aabc8263eee87d3eb887236a0418974f475"},
		"groups, divergence in the loss": {func(c *Config) {
			c.Advantage, c.KLPenalty, c.KLCoef = advantage.RLOO, KLInLossK3, 0.1
		}, "dd6ebcdef78dc453f79c6b34afd1278eb18c3712489b26f857ea6e4d5217d696"},
		"dual clip, k2": {
			func(c *Config) { c.DualClip, c.KLPenalty, c.Lambda, c.Gamma = 1.5, KLInLossK2, 0.8, 0.9 },
			"ff8a0caee663ce86a96f61ad0c1a461b8eeda84e03e4d8ed0df328e5c281393b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := DefaultConfig()
			c.LearningRate, c.BatchTokens = 0.01, 64
			x.edit(&c)
			w := newWorld(t, 7, 1)
			l := w.learner()
			in := w.input(c, nil)
			for i := range 2 {
				in.Trajectories = w.sample(hone.Rand(hone.Seed(1, "sample", i)), prompts(32), 3, copies)
				found := &in.Trajectories[5]
				found.Trajectory.Source, found.Breakdown.Outcome = hone.SourceSearch, hone.OutcomeRight
				in.Trajectories[9].Trajectory.Finish, in.Trajectories[9].Trajectory.Bootstrap = hone.FinishLength, 0.25
				got, err := l.Update(t.Context(), in)
				require.NoError(t, err)
				in.Beta = got.Beta
			}
			require.Equal(t, x.want, w.params.Digest())
		})
	}
}
