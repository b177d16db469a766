package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
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
