package mcts_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

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
	next   *toy
}

// toys evaluates written states and keeps count of how often each was asked for, and in what batches.
type toys struct {
	asked   map[*toy]int
	batches []int
}

func (e *toys) Evaluate(_ context.Context, states []*toy) ([]mcts.Evaluation[*toy], error) {
	if e.asked == nil {
		e.asked = map[*toy]int{}
	}
	e.batches = append(e.batches, len(states))
	out := make([]mcts.Evaluation[*toy], len(states))
	for i, s := range states {
		e.asked[s]++
		out[i] = mcts.Evaluation[*toy]{Value: s.value, Terminal: s.terminal}
		for _, d := range s.edges {
			out[i].Actions = append(out[i].Actions, mcts.Action[*toy]{
				Key: d.key, Prior: d.prior, Reward: d.reward, Masked: d.masked, Next: d.next,
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
