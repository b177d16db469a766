package ppo

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
)

// lesson is a problem whose best reward a trajectory is 1.
type lesson struct {
	// prompts are taken in turn, 64 samples an update.
	prompts [][]hone.TokenID
	tokens  int
	reward  rewardFunc
	// updates is enough of them.
	updates int
}

// lessons are the problems with a known optimum.
func lessons() map[string]lesson {
	var pairs [][]hone.TokenID
	for a := range 2 {
		for b := range 2 {
			pairs = append(pairs, []hone.TokenID{hone.TokenID(a), hone.TokenID(b)})
		}
	}
	only := func(right bool) []float64 {
		if right {
			return []float64{1}
		}
		return []float64{0}
	}
	return map[string]lesson{
		"bandit": {prompts: prompts(8), tokens: 1, updates: 25, reward: func(_, tokens []hone.TokenID) []float64 {
			return []float64{[worldVocab]float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1, 0.7, 0.8}[tokens[0]]}
		}},
		"identity": {prompts: prompts(8), tokens: 1, updates: 50, reward: copies},
		// Both tokens in their order, each paid for.
		"copy": {prompts: pairs, tokens: 2, updates: 40, reward: func(prompt, tokens []hone.TokenID) []float64 {
			earned := make([]float64, 2)
			for i := range earned {
				if tokens[i] == prompt[i] {
					earned[i] = 0.5
				}
			}
			return earned
		}},
		"parity": {prompts: prompts(8), tokens: 1, updates: 60, reward: func(prompt, tokens []hone.TokenID) []float64 {
			return only(tokens[0] == prompt[0]%2)
		}},
		// The first token decides, and the last is paid for it.
		"delayed": {prompts: prompts(8), tokens: 2, updates: 40, reward: func(_, tokens []hone.TokenID) []float64 {
			return append([]float64{0}, only(tokens[0] == 3)...)
		}},
	}
}

// learn runs updates from a fixed seed and returns what the policy earns afterwards where it takes the likeliest token.
func learn(t *testing.T, c Config, x lesson) float64 {
	t.Helper()
	w := newWorld(t, 7, 1)
	l := w.learner()
	in := w.input(c, nil)
	all := slices.Repeat(x.prompts, 64/len(x.prompts))
	for i := range x.updates {
		in.Trajectories = w.sample(hone.Rand(hone.Seed(1, "sample", i)), all, x.tokens, x.reward)
		in.Seed, in.LearningRate = hone.Seed(1, "update", i), c.Schedule(x.updates).At(i)
		got, err := l.Update(t.Context(), in)
		require.NoError(t, err)
		require.Less(t, got.Stats.RatioFirstMaxDev, agreementTolerance)
		in.Beta = got.Beta
	}
	return w.greedy(x.prompts, x.tokens, x.reward)
}

func TestLearnsToTheKnownOptimum(t *testing.T) {
	t.Parallel()
	for name, x := range lessons() {
		for _, kind := range []advantage.Kind{
			advantage.GAE, advantage.GRPO, advantage.DrGRPO, advantage.RLOO,
			advantage.ReinforcePP, advantage.ReinforcePPBaseline, advantage.MonteCarlo,
		} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				c := DefaultConfig()
				c.EntropyCoef = 0.02
				c.Advantage, c.LearningRate, c.KLCoef, c.Epochs, c.TargetKL = kind, 0.01, 0.001, 4, 0
				require.InDelta(t, 1, learn(t, c, x), 1e-9)
			})
		}
	}
}

// So does each loss, and each way to weigh and to aggregate.
func TestEveryLossLearns(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Config){
		"cispo":         func(c *Config) { c.Loss, c.ClipLow = LossCISPO, 1 },
		"gspo":          func(c *Config) { c.Loss, c.Aggregation = LossGSPO, AggregateSequenceMean },
		"sequence sum":  func(c *Config) { c.Aggregation, c.SequenceTokens = AggregateSequenceSum, 1 },
		"importance":    func(c *Config) { c.Importance.Truncate = 2 },
		"straight":      func(c *Config) { c.KLPenalty = KLInLossK3Straight },
		"shaped reward": func(c *Config) { c.Shaping = Shaping{Scale: 2, Bias: -0.5, Clip: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := DefaultConfig()
			c.EntropyCoef, c.LearningRate, c.KLCoef, c.Epochs, c.TargetKL = 0.02, 0.01, 0.001, 4, 0
			edit(&c)
			require.InDelta(t, 1, learn(t, c, lessons()["bandit"]), 1e-9)
		})
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
