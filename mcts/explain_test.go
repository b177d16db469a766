package mcts_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
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
				terms := mcts.Explain(nodes, cfg, nil)
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
	for i, term := range mcts.Explain(tree.Nodes(), cfg, nil) {
		if term.Chosen {
			marked = append(marked, i)
		}
	}
	require.ElementsMatch(t, tree.Best(), marked)
	require.NotEmpty(t, marked)
	require.Empty(t, mcts.Explain(nil, cfg, nil))
}

// A record of a Gumbel search, with the generator that its root had, says what it was led by: the scores end in its choice, and rounds are
// those of the halving.
func TestExplanationsOfAHalvingEndInItsChoice(t *testing.T) {
	t.Parallel()
	for _, fraction := range []float64{0, 0.25} {
		for seed := range uint64(40) {
			cfg := configured(8)
			cfg.Selection, cfg.Gumbel.Considered, cfg.NoiseFraction = mcts.SelectGumbel, 4, fraction
			root := mcts.Root[*toy]{State: enumerable(seed, 2, 6), Rng: hone.Rand(seed)}
			trees, err := mcts.Run(t.Context(), &toys{}, []mcts.Root[*toy]{root}, cfg)
			require.NoError(t, err)
			tree := trees[0]
			nodes := tree.Nodes()
			terms := mcts.Explain(nodes, cfg, hone.Rand(seed))
			rounds := map[int]int{}
			best, most := math.Inf(-1), 0
			for _, c := range tree.Children(0) {
				h := terms[c].Halving
				require.NotNil(t, h)
				require.InDelta(t, h.Score, h.Noise+h.Logit+h.Completed, 1e-9)
				require.Equal(t, 2, h.Rounds)
				require.Equal(t, map[int]int{0: 0, 1: 1, 3: 2}[nodes[c].Visits], h.Round, "%d visits", nodes[c].Visits)
				rounds[h.Round]++
				most = max(most, nodes[c].Visits)
			}
			// Eight simulations on four actions: one each, then two more for each of the better half.
			require.Equal(t, map[int]int{0: 2, 1: 2, 2: 2}, rounds)
			want := 0
			for _, c := range tree.Children(0) {
				if nodes[c].Visits == most && terms[c].Halving.Score > best {
					best, want = terms[c].Halving.Score, c
				}
			}
			require.Equal(t, want, tree.Best()[0])
			require.True(t, terms[want].Chosen)
			// What was considered had the most noise and logit of all.
			for _, c := range tree.Children(0) {
				for _, d := range tree.Children(0) {
					if a, b := terms[c].Halving, terms[d].Halving; a.Round > 0 && b.Round == 0 {
						require.GreaterOrEqual(t, a.Noise+a.Logit, b.Noise+b.Logit)
					}
				}
			}
			require.Nil(t, mcts.Explain(nodes, cfg, nil)[1].Halving, "without its generator noise isn't known")
		}
	}
}

func TestExplanationsPredictTheNextStepOfAGumbelSearchBelowItsPlan(t *testing.T) {
	t.Parallel()
	for simulations := 2; simulations < 60; simulations++ {
		cfg := configured(simulations)
		cfg.Selection, cfg.Gumbel.Scale, cfg.Gumbel.Plan = mcts.SelectGumbel, 0, 1
		tree := grow(t, enumerable(8, 3, 4), cfg)
		nodes := tree.Nodes()
		terms := mcts.Explain(nodes, cfg, nil)
		want, best := 0, math.Inf(-1)
		for _, c := range tree.Children(0) {
			if sum := terms[c].Value + terms[c].Explore; sum > best+1e-12 {
				want, best = c, sum
			}
		}
		more := cfg
		more.Simulations++
		next := grow(t, enumerable(8, 3, 4), more)
		require.Equal(t, nodes[want].Visits+1, next.Node(want).Visits, "%d simulations", simulations)
	}
}
