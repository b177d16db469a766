package mcts_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/mcts"
)

// What a record of the tree explains is what the search would do next: one more simulation goes to the child of the greatest sum.
func TestExplanationsPredictTheNextStep(t *testing.T) {
	t.Parallel()
	for _, normalisation := range []mcts.Normalisation{mcts.NormaliseSiblings, mcts.NormaliseNone} {
		for _, first := range []mcts.FirstPlay{mcts.FirstPlayLeast, mcts.FirstPlayParent} {
			for simulations := 2; simulations < 60; simulations++ {
				cfg := configured(simulations)
				cfg.Normalisation, cfg.FirstPlay = normalisation, first
				tree := grow(t, enumerable(8, 3, 4), cfg)
				nodes := tree.Nodes()
				terms := mcts.Explain(nodes, cfg)
				want, best := 0, math.Inf(-1)
				for _, c := range tree.Children(0) {
					if sum := terms[c].Value + terms[c].Explore; sum > best {
						want, best = c, sum
					}
				}
				require.NoError(t, tree.More(1, nil))
				require.NoError(t, mcts.Grow(t.Context(), &toys{}, []*mcts.Tree[*toy]{tree}))
				require.Equal(t, nodes[want].Visits+1, tree.Node(want).Visits, "%s, %s, %d simulations", normalisation, first, simulations)
			}
		}
	}
}

func TestExplanationMarksTheRecommendedLine(t *testing.T) {
	t.Parallel()
	cfg := configured(120)
	tree := grow(t, enumerable(9, 4, 3), cfg)
	var marked []int
	for i, term := range mcts.Explain(tree.Nodes(), cfg) {
		if term.Chosen {
			marked = append(marked, i)
		}
	}
	require.ElementsMatch(t, tree.Best(), marked)
	require.NotEmpty(t, marked)
	require.Empty(t, mcts.Explain(nil, cfg))
}
