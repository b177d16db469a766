package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/advantage"
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

// batch is the 16 trajectories that are the policy's exact distribution, with the exact values of every state, and for each of their
// tokens the state and the action.
func (d decision) batch(t *testing.T) (trajectories []advantage.Trajectory, states, actions []int) {
	t.Helper()
	v := d.value()
	branch := func(state, action int) advantage.Branch {
		var b advantage.Branch
		for a := range 2 {
			q := d.reward(a, 0)[0] + v[1+a]
			if state > 0 {
				q = d.reward(state-1, a)[1]
			}
			b.Siblings = append(b.Siblings, advantage.Sibling{Q: q, Weight: d.prob(state, a)})
		}
		b.Q = b.Siblings[action].Q
		return b
	}
	for first := range 2 {
		for second := range 2 {
			count := int(math.Round(16 * d.prob(0, first) * d.prob(1+first, second)))
			for range count {
				r := d.reward(first, second)
				trajectories = append(trajectories, advantage.Trajectory{
					Group: "decision", Rewards: r[:], Values: []float64{v[0], v[1+first]}, Ends: []int{1, 2},
					Branches: []advantage.Branch{branch(0, first), branch(1+first, second)},
				})
				states, actions = append(states, 0, 1+first), append(actions, first, second)
			}
		}
	}
	require.Len(t, trajectories, 16)
	return trajectories, states, actions
}

// lossGradient runs the trajectories through the operator on the first minibatch (new policy = old) and chains its gradient
// in the log-probabilities to the logits. The result is per trajectory, and of the negative loss.
func (d decision) lossGradient(t *testing.T, estimator advantage.Estimator) ([3][2]float64, advantage.Spread) {
	t.Helper()
	trajectories, states, actions := d.batch(t)
	estimates, raw, err := estimator.Estimate(trajectories)
	require.NoError(t, err)
	n := 2 * len(trajectories)
	rows, out := NewRows(n), makeOutputs(n)
	for i, e := range estimates {
		copy(rows.Advantages[2*i:], e.Advantages)
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
			g[states[i]][a] -= float64(grads[0][i]) * dLogp * float64(n) / float64(len(trajectories))
		}
	}
	return g, raw
}

// Gradients cross the graph in float32; 32 of them of about 0.1 are added.
const policyGradientTolerance = 1e-6

// Every estimator gives the gradient of the expected reward, up to the factor that it is scaled by: none, the deviation over
// the batch's tokens, that over the group's rewards, or n/(n-1) where each is compared with the others alone.
func TestExactPolicyGradient(t *testing.T) {
	t.Parallel()
	d := newDecision()
	want := d.exactGradient()
	trajectories, _, _ := d.batch(t)
	var totals []float64
	for _, x := range trajectories {
		totals = append(totals, x.Rewards[0]+x.Rewards[1])
	}
	_, variance := advantage.Moments(totals, nil)
	n := float64(len(totals))
	type estimator = advantage.Estimator
	whitened := func(s advantage.Spread) float64 { return 1 / s.Std }
	unscaled := func(advantage.Spread) float64 { return 1 }
	byGroup := func(advantage.Spread) float64 { return 1 / (math.Sqrt(variance) + 1e-6) }
	leftOut := func(s advantage.Spread) float64 { return n / (n - 1) / s.Std }
	for name, x := range map[string]struct {
		estimator estimator
		factor    func(advantage.Spread) float64
	}{
		// Exact values make every lambda exact.
		"gae, lambda 0":          {estimator{Advantage: advantage.GAE, Gamma: 1}, whitened},
		"gae, lambda 0.5":        {estimator{Advantage: advantage.GAE, Gamma: 1, Lambda: 0.5}, whitened},
		"gae, lambda 1":          {estimator{Advantage: advantage.GAE, Gamma: 1, Lambda: 1}, whitened},
		"gae, lambda of length":  {estimator{Advantage: advantage.GAE, Gamma: 1, LambdaAlpha: 0.7}, whitened},
		"grpo":                   {estimator{Advantage: advantage.GRPO, Gamma: 1}, byGroup},
		"dr_grpo":                {estimator{Advantage: advantage.DrGRPO, Gamma: 1}, unscaled},
		"rloo":                   {estimator{Advantage: advantage.RLOO, Gamma: 1}, leftOut},
		"reinforce_pp":           {estimator{Advantage: advantage.ReinforcePP, Gamma: 1}, whitened},
		"reinforce_pp_baseline":  {estimator{Advantage: advantage.ReinforcePPBaseline, Gamma: 1}, whitened},
		"monte_carlo":            {estimator{Advantage: advantage.MonteCarlo, Gamma: 1}, unscaled},
		"tree, the policy's own": {estimator{Advantage: advantage.Tree, Gamma: 1}, unscaled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, x.estimator.Validate())
			got, raw := d.lossGradient(t, x.estimator)
			for s := range want {
				for a := range want[s] {
					require.InDelta(t, want[s][a]*x.factor(raw), got[s][a], policyGradientTolerance, "state %d action %d", s, a)
				}
			}
		})
	}
}

// On the first minibatch the gradient is REINFORCE's: that of log-probabilities times returns.
func TestChecklist23FirstMinibatchIsREINFORCE(t *testing.T) {
	t.Parallel()
	d := newDecision()
	trajectories, states, actions := d.batch(t)
	var want [3][2]float64
	for i, x := range trajectories {
		for k, g := range []float64{x.Rewards[0] + x.Rewards[1], x.Rewards[1]} {
			state := states[2*i+k]
			for a := range 2 {
				dLogp := -d.prob(state, a)
				if a == actions[2*i+k] {
					dLogp++
				}
				want[state][a] += g * dLogp / float64(len(trajectories))
			}
		}
	}
	got, raw := d.lossGradient(t, advantage.Estimator{Advantage: advantage.ReinforcePP, Gamma: 1})
	for s := range want {
		for a := range want[s] {
			require.InDelta(t, want[s][a]/raw.Std, got[s][a], policyGradientTolerance)
		}
	}
}
