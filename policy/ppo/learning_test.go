package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// lesson is a problem whose best reward a trajectory is known.
type lesson struct {
	tokens int
	reward func(prompt, tokens []hone.TokenID) []float64
	best   float64
	// updates is enough of them.
	updates int
}

// learn runs updates from a fixed seed and returns the mean reward of the last one's trajectories.
func learn(t *testing.T, c Config, x lesson, updates int) float64 {
	t.Helper()
	w := newWorld(t, 7, 1)
	l := w.learner()
	in := w.input(c, nil)
	mean := 0.0
	for i := range updates {
		in.Trajectories = w.sample(hone.Rand(hone.Seed(1, "sample", i)), prompts(64), x.tokens, x.reward)
		in.Seed, in.LearningRate = hone.Seed(1, "update", i), c.Schedule(updates).At(i)
		got, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		require.Less(t, got.Stats.RatioFirstMaxDev, agreementTolerance)
		in.Beta, mean = got.Beta, got.Stats.RewardMean
	}
	return mean
}

func TestLearnsToTheKnownOptimum(t *testing.T) {
	t.Parallel()
	bandit := lesson{tokens: 1, best: 1, updates: 60, reward: func(_, tokens []hone.TokenID) []float64 {
		return []float64{[worldVocab]float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1, 0.7, 0.8}[tokens[0]]}
	}}
	identity := lesson{tokens: 1, best: 1, updates: 80, reward: copies}
	// The first token decides, and the last is paid for it.
	delayed := lesson{tokens: 2, best: 1, updates: 50, reward: func(_, tokens []hone.TokenID) []float64 {
		if tokens[0] == 3 {
			return []float64{0, 1}
		}
		return make([]float64, 2)
	}}
	for name, x := range map[string]lesson{"bandit": bandit, "identity": identity, "delayed": delayed} {
		for _, kind := range []AdvantageKind{AdvantageGAE, AdvantageGroup} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				c := DefaultConfig()
				c.EntropyCoef = 0.02
				c.Advantage, c.LearningRate, c.KLCoef, c.Epochs, c.TargetKL = kind, 0.01, 0.001, 4, 0
				require.Greater(t, learn(t, c, x, x.updates), 0.95*x.best)
			})
		}
	}
}

// Rewards that say nothing of the actions leave the policy about as good at the task as it was.
func TestNoiseTeachesNothing(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.LearningRate = 0.003
	w := newWorld(t, 7, 1)
	l := w.learner()
	in := w.input(c, nil)
	accuracy := func() float64 {
		p := prompts(8)
		logp, _ := w.next(p)
		sum := 0.0
		for i := range p {
			sum += math.Exp(float64(logp[i][p[i][0]]))
		}
		return sum / float64(len(p))
	}
	before := accuracy()
	for i := range 15 {
		rng := hone.Rand(hone.Seed(1, "sample", i))
		in.Trajectories = w.sample(rng, prompts(64), 1, func(_, _ []hone.TokenID) []float64 { return []float64{rng.Float64()} })
		in.Seed = hone.Seed(1, "update", i)
		got, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		in.Beta = got.Beta
	}
	require.Less(t, accuracy(), before+0.1)
}
