package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// decision is a process of two steps with two actions each, small enough to enumerate. theta holds the logits of the three states
// (the start, and the state after each first action); the policy is their softmax.
type decision struct{ theta [3][2]float64 }

// newDecision has probabilities of whole sixteenths over whole trajectories, so that 16 of them are the policy's exact distribution.
func newDecision() decision {
	return decision{theta: [3][2]float64{{0, math.Log(3)}, {0, 0}, {0, math.Log(3)}}}
}

func (d decision) prob(state, action int) float64 {
	a, b := math.Exp(d.theta[state][0]), math.Exp(d.theta[state][1])
	return [2]float64{a, b}[action] / (a + b)
}

// reward is of the first step, and of the second after the first.
func (d decision) reward(first, second int) [2]float64 {
	return [2]float64{[2]float64{0.5, -0.25}[first], [2][2]float64{{1, -1}, {2, 0.25}}[first][second]}
}

// value is the exact expected reward to come: in the start, and after each first action.
func (d decision) value() [3]float64 {
	var v [3]float64
	for first := range 2 {
		for second := range 2 {
			v[1+first] += d.prob(1+first, second) * d.reward(first, second)[1]
		}
		v[0] += d.prob(0, first) * (d.reward(first, 0)[0] + v[1+first])
	}
	return v
}

// exactGradient is that of the expected reward in every logit, by central differences.
func (d decision) exactGradient() [3][2]float64 {
	var g [3][2]float64
	const h = 1e-5
	for s := range 3 {
		for a := range 2 {
			up, down := d, d
			up.theta[s][a] += h
			down.theta[s][a] -= h
			g[s][a] = (up.value()[0] - down.value()[0]) / (2 * h)
		}
	}
	return g
}

// lossGradient runs the 16 trajectories through the operator on the first minibatch (new policy = old) and chains its gradient
// in the log-probabilities to the logits. The result is per trajectory, and of the negative loss.
func (d decision) lossGradient(t *testing.T, advantages func(episodes []Episode) [][]float64) [3][2]float64 {
	t.Helper()
	v := d.value()
	var episodes []Episode
	var states, actions []int
	for first := range 2 {
		for second := range 2 {
			count := int(math.Round(16 * d.prob(0, first) * d.prob(1+first, second)))
			for range count {
				r := d.reward(first, second)
				episodes = append(episodes, Episode{Rewards: r[:], Values: []float64{v[0], v[1+first]}})
				states, actions = append(states, 0, 1+first), append(actions, first, second)
			}
		}
	}
	require.Len(t, episodes, 16)
	n := 2 * len(episodes)
	rows, out := NewRows(n), makeOutputs(n)
	for i, adv := range advantages(episodes) {
		copy(rows.Advantages[2*i:], adv)
	}
	for i := range n {
		rows.Kind[i] = KindSample
		out.logp[i] = math.Log(d.prob(states[i], actions[i]))
		rows.LogpOld[i] = float64(float32(out.logp[i]))
	}
	cfg := DefaultConfig()
	loss := NewLoss(cfg, 0)
	require.NoError(t, loss.Set(rows, Totals{Samples: n}))
	_, grads := newGraph(t, loss, n).run(t, out)
	require.Zero(t, loss.takeTally().ratioDeviation())

	var g [3][2]float64
	for i := range n {
		for a := range 2 {
			dLogp := -d.prob(states[i], a)
			if a == actions[i] {
				dLogp++
			}
			g[states[i]][a] -= float64(grads[0][i]) * dLogp * float64(n) / float64(len(episodes))
		}
	}
	return g
}

// Gradients cross the graph in float32; 32 of them of about 0.1 are added.
const policyGradientTolerance = 1e-6

func TestExactPolicyGradient(t *testing.T) {
	t.Parallel()
	d := newDecision()
	want := d.exactGradient()
	for _, lambda := range []float64{0, 0.5, 0.95, 1} { // exact values make every lambda exact
		got := d.lossGradient(t, func(episodes []Episode) [][]float64 {
			var all [][]float64
			for _, e := range episodes {
				adv, _, err := e.Advantages(1, lambda)
				require.NoError(t, err)
				all = append(all, adv)
			}
			return all
		})
		for s := range want {
			require.InDeltaSlice(t, want[s][:], got[s][:], policyGradientTolerance, "lambda %v state %d", lambda, s)
		}
	}
}

// With values of zero and lambda 1 what is left is REINFORCE: log-probabilities times returns.
func TestChecklist23FirstMinibatchIsREINFORCE(t *testing.T) {
	t.Parallel()
	d := newDecision()
	want := d.exactGradient()
	got := d.lossGradient(t, func(episodes []Episode) [][]float64 {
		var all [][]float64
		for _, e := range episodes {
			all = append(all, rewardsToGo(e.Rewards))
		}
		return all
	})
	for s := range want {
		require.InDeltaSlice(t, want[s][:], got[s][:], policyGradientTolerance)
	}
}

// Leaving oneself out of the mean makes every difference from it n/(n-1) times as large, and the gradient with it.
func TestGroupAdvantagesGiveThePolicyGradient(t *testing.T) {
	t.Parallel()
	d := newDecision()
	want := d.exactGradient()
	got := d.lossGradient(t, func(episodes []Episode) [][]float64 {
		members := make([]Member, len(episodes))
		for i, e := range episodes {
			members[i] = Member{Rewards: e.Rewards, Ends: []int{1, 2}}
		}
		all, err := GroupAdvantages(members)
		require.NoError(t, err)
		return all
	})
	for s := range want {
		for a := range want[s] {
			require.InDelta(t, want[s][a]*16/15, got[s][a], policyGradientTolerance)
		}
	}
}
