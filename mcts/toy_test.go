package mcts_test

import (
	"context"
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// toy is a state written out by hand; its edges lead to further toys.
type toy struct {
	value    float64
	terminal bool
	edges    []edge
}

type edge struct {
	key    string
	prior  float64
	reward float64
	masked bool
	state  string
	next   *toy
}

// toys evaluates written states and keeps count of how often each was asked for, and in what batches.
type toys struct {
	asked   map[*toy]int
	batches []int
}

func (e *toys) Evaluate(_ context.Context, requests []mcts.Request[*toy]) ([]mcts.Evaluation[*toy], error) {
	if e.asked == nil {
		e.asked = map[*toy]int{}
	}
	e.batches = append(e.batches, len(requests))
	out := make([]mcts.Evaluation[*toy], len(requests))
	for i, r := range requests {
		s := r.State
		e.asked[s]++
		out[i] = mcts.Evaluation[*toy]{Value: s.value, Terminal: s.terminal}
		for _, d := range s.edges {
			out[i].Actions = append(out[i].Actions, mcts.Action[*toy]{
				Key: d.key, Prior: d.prior, Reward: d.reward, Masked: d.masked, State: d.state, Next: d.next,
			})
		}
	}
	return out, nil
}

// bandit is a root of value with one terminal child for each prior and reward.
func bandit(value float64, priors, rewards []float64) *toy {
	root := &toy{value: value}
	for i := range priors {
		root.edges = append(root.edges, edge{
			key: fmt.Sprint(i), prior: priors[i], next: &toy{value: rewards[i], terminal: true},
		})
	}
	return root
}

// configured is the default configuration with so many simulations.
func configured(simulations int) mcts.Config {
	cfg := mcts.DefaultConfig()
	cfg.Simulations = simulations
	return cfg
}

// grow searches from one state.
func grow(t *testing.T, root *toy, cfg mcts.Config) *mcts.Tree[*toy] {
	t.Helper()
	trees, err := mcts.Run(t.Context(), &toys{}, []mcts.Root[*toy]{{State: root}}, cfg)
	require.NoError(t, err)
	require.Len(t, trees, 1)
	return trees[0]
}

// visits are those of the root's children.
func visits(tree *mcts.Tree[*toy]) []int {
	var out []int
	for _, c := range tree.Children(0) {
		out = append(out, tree.Node(c).Visits)
	}
	return out
}

// actions are the keys along a line.
func actions[S any](tree *mcts.Tree[S], line []int) []string {
	var out []string
	for _, i := range line {
		out = append(out, tree.Node(i).Action)
	}
	return out
}

// evaluatorOf is an evaluator made of a function.
type evaluatorOf[S any] func(ctx context.Context, requests []mcts.Request[S]) ([]mcts.Evaluation[S], error)

func (f evaluatorOf[S]) Evaluate(ctx context.Context, requests []mcts.Request[S]) ([]mcts.Evaluation[S], error) {
	return f(ctx, requests)
}

// gumbel is the default configuration of Gumbel selection without noise, with so many simulations.
func gumbel(simulations int) mcts.Config {
	cfg := configured(simulations)
	cfg.Selection, cfg.Gumbel.Scale = mcts.SelectGumbel, 0
	return cfg
}

// subsets is the puzzle of choosing some of n things, one after the other, each worth something that depends on what was chosen
// before: a state is the set chosen, whatever the order. It also returns the number of states.
func subsets(n, steps int) (root *toy, states int) {
	made := map[int]*toy{}
	var build func(set int) *toy
	build = func(set int) *toy {
		if s, ok := made[set]; ok {
			return s
		}
		rng := hone.Rand(hone.Seed(9, "subset", set))
		s := &toy{value: rng.Float64() * float64(steps-bits.OnesCount(uint(set))), terminal: bits.OnesCount(uint(set)) == steps}
		made[set] = s
		if s.terminal {
			s.value = rng.Float64()
			return s
		}
		for i := range n {
			if set&(1<<i) == 0 {
				next := set | 1<<i
				s.edges = append(s.edges, edge{
					key: fmt.Sprint(i), prior: 1, reward: hone.Rand(hone.Seed(9, "gain", set, i)).Float64(),
					state: fmt.Sprint(next), next: build(next),
				})
			}
		}
		return s
	}
	root = build(0)
	return root, len(made)
}
