package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
)

func TestDefaultConfigIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
}

func TestValidateJoinsAllFaults(t *testing.T) {
	t.Parallel()
	err := Config{Estimator: advantage.Estimator{Gamma: math.NaN(), Advantage: "best"}, DualClip: 0.5, Epochs: -3}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{
		"gamma is NaN", "dual_clip is 0.5", "epochs is -3", "advantage is best", "clip_low is 0", "learning_rate is 0", "kl_penalty is ,",
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestPretrainingLearnsFromWhateverTheEstimator(t *testing.T) {
	t.Parallel()
	for _, kind := range advantage.Kinds() {
		c := DefaultConfig()
		c.Advantage, c.CriticWarmup, c.CriticPretrain, c.GroupSpread = kind, 1, 7, 0.5
		c.EntropyCoef, c.EntropyTarget, c.EntropyStep = 0.01, 1, 0.001
		c.Schedules.Entropy, c.Importance.Truncate = policy.Curve{Shape: policy.ShapeLinear, To: 0.5}, 2
		require.NoError(t, c.Validate())
		p := c.Pretraining()
		require.NoError(t, p.Validate())
		require.Equal(t, 7, p.Epochs)
		samples, _, _, err := gather([]Scored{scored(1, 4, 0, 1), scored(2, 4, 0, 1)}, p, 0)
		require.NoError(t, err, "all earned the same")
		samples[0].valuesOld[2] = 0.25
		_, err = estimate(samples, p, 0, 0)
		require.NoError(t, err)
		for _, s := range samples {
			require.InDeltaSlice(t, []float64{1, 1, 1, 1}, s.returns, 1e-12, "what was earned, whatever was expected")
		}
	}
}
