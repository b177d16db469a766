package ppo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// world is a tiny policy over ten tokens and what is needed to sample from it without a sampler: it scores every token that could
// come next.
type world struct {
	t           *testing.T
	set         *kernel.Set
	params      *policy.Params
	scorer      *policy.Trainer
	temperature float32
}

const worldVocab = 10

func tinyConfig() policy.Config {
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = worldVocab, 16, 1, 2, 1, 32, 16
	return c
}

func newWorld(t *testing.T, seed uint64, temperature float32) *world {
	t.Helper()
	params, err := policy.Init(tinyConfig(), seed)
	require.NoError(t, err)
	w := &world{t: t, set: kernel.Portable(), params: params, temperature: temperature}
	w.scorer = w.trainer(params)
	return w
}

// trainer scores under params and has no loss.
func (w *world) trainer(params *policy.Params) *policy.Trainer {
	w.t.Helper()
	trainer, err := policy.NewTrainer(params, w.set, policy.TrainerOptions{Temperature: w.temperature})
	require.NoError(w.t, err)
	return trainer
}

// next is the log-probability of every token after each prefix, and the value of the state before it.
func (w *world) next(prefixes [][]hone.TokenID) (logp [][]float32, values []float32) {
	w.t.Helper()
	var b policy.Batch
	var rows []int
	for _, p := range prefixes {
		for v := range worldVocab {
			rows = append(rows, b.Len()+len(p)-1)
			b.Append(append(append([]hone.TokenID(nil), p...), hone.TokenID(v)), len(p))
		}
	}
	scores, err := w.scorer.Evaluate(w.t.Context(), b)
	require.NoError(w.t, err)
	for i := range prefixes {
		row := make([]float32, worldVocab)
		for v := range row {
			row[v] = scores.Logp[rows[i*worldVocab+v]]
		}
		logp = append(logp, row)
		values = append(values, scores.Value[rows[i*worldVocab]])
	}
	return logp, values
}

// sample draws completions of n tokens for the prompts, one step a token, each judged by reward.
func (w *world) sample(rng *rand.Rand, prompts [][]hone.TokenID, n int, reward rewardFunc) []Scored {
	w.t.Helper()
	return w.complete(prompts, n, func(logp []float32) hone.TokenID { return draw(rng, logp) }, reward)
}

// greedy is the mean reward of taking the likeliest token each time.
func (w *world) greedy(prompts [][]hone.TokenID, n int, reward rewardFunc) float64 {
	w.t.Helper()
	mean := 0.0
	for _, s := range w.complete(prompts, n, likeliest, reward) {
		mean += s.Breakdown.Total() / float64(len(prompts))
	}
	return mean
}

// rewardFunc is what each token of a completion earns.
type rewardFunc func(prompt, tokens []hone.TokenID) []float64

// complete writes n tokens after each prompt, one step a token, as pick says.
func (w *world) complete(prompts [][]hone.TokenID, n int, pick func(logp []float32) hone.TokenID, reward rewardFunc) []Scored {
	w.t.Helper()
	out := make([]Scored, len(prompts))
	prefixes := make([][]hone.TokenID, len(prompts))
	for i, p := range prompts {
		out[i].Trajectory = hone.Trajectory{
			ID: hone.TrajectoryID{Run: "world", Sample: i}, Problem: hone.Problem{Task: "world", Key: key(p)},
			Source: hone.SourceSample, Prompt: p, Finish: hone.FinishStop,
		}
		prefixes[i] = append([]hone.TokenID(nil), p...)
	}
	for k := range n {
		var distinct [][]hone.TokenID
		at := map[string]int{}
		for _, p := range prefixes {
			if _, ok := at[fmt.Sprint(p)]; !ok {
				at[fmt.Sprint(p)] = len(distinct)
				distinct = append(distinct, append([]hone.TokenID(nil), p...))
			}
		}
		logp, values := w.next(distinct)
		for j := range prompts {
			i := at[fmt.Sprint(prefixes[j])]
			token := pick(logp[i])
			prefixes[j] = append(prefixes[j], token)
			t := &out[j].Trajectory
			t.Tokens = append(t.Tokens, token)
			t.Logp = append(t.Logp, logp[i][token])
			t.Values = append(t.Values, values[i])
			t.Steps = append(t.Steps, hone.Step{From: k, To: k + 1})
		}
	}
	for i := range out {
		layer := hone.LayerScore{Layer: "world", Weight: 1}
		total := 0.0
		for s, r := range reward(prompts[i], out[i].Trajectory.Tokens) {
			layer.Terms = append(layer.Terms, hone.Term{Step: s, Score: r})
			total += r
		}
		out[i].Breakdown = hone.Breakdown{Outcome: hone.OutcomeWrong, Layers: []hone.LayerScore{layer}, Steps: n}
		if total > 0 {
			out[i].Breakdown.Outcome = hone.OutcomeRight
		}
	}
	return out
}

// key names a prompt.
func key(prompt []hone.TokenID) string {
	letters := make([]rune, len(prompt))
	for i, token := range prompt {
		letters[i] = 'a' + rune(token)
	}
	return string(letters)
}

// likeliest is the first of the tokens that no other exceeds.
func likeliest(logp []float32) hone.TokenID {
	best := 0
	for v, l := range logp {
		if l > logp[best] {
			best = v
		}
	}
	return hone.TokenID(best)
}

// draw picks a token from natural log-probabilities.
func draw(rng *rand.Rand, logp []float32) hone.TokenID {
	u := rng.Float64()
	for v, l := range logp {
		if u -= math.Exp(float64(l)); u < 0 {
			return hone.TokenID(v)
		}
	}
	return hone.TokenID(len(logp) - 1)
}

// learner is of the world's parameters.
func (w *world) learner() *Learner {
	w.t.Helper()
	l, err := NewLearner(w.params, w.set, Config{}, w.temperature)
	require.NoError(w.t, err)
	return l
}

// input is an update of the trajectories with a reference that is the policy as it is now.
func (w *world) input(c Config, trajectories []Scored) UpdateInput {
	w.t.Helper()
	optimizer, err := policy.NewAdamW(w.params, c.AdamW())
	require.NoError(w.t, err)
	return UpdateInput{
		Config: c, Optimizer: optimizer, Reference: w.trainer(w.params.Clone()), Trajectories: trajectories,
		Seed: 5, Beta: c.KLCoef, EntropyCoef: c.EntropyCoef, LearningRate: c.LearningRate,
	}
}

// prompts is n prompts of one token each, from 0 to 7 and round again.
func prompts(n int) [][]hone.TokenID {
	out := make([][]hone.TokenID, n)
	for i := range out {
		out[i] = []hone.TokenID{hone.TokenID(i % 8)}
	}
	return out
}

// copies rewards a token that equals the prompt's.
func copies(prompt, tokens []hone.TokenID) []float64 {
	out := make([]float64, len(tokens))
	for i, token := range tokens {
		if token == prompt[0] {
			out[i] = 1
		}
	}
	return out
}
