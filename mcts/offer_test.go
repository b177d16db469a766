package mcts_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone/mcts"
)

// offering gives the edges of toys one by one, and says what the next one's prior is.
type offering struct{ given int }

func (o *offering) Evaluate(_ context.Context, requests []mcts.Request[*toy]) ([]mcts.Evaluation[*toy], error) {
	out := make([]mcts.Evaluation[*toy], len(requests))
	for i, r := range requests {
		s := r.State
		out[i] = mcts.Evaluation[*toy]{Value: s.value, Terminal: s.terminal, Cost: 1}
		if r.Known < len(s.edges) {
			e := s.edges[r.Known]
			out[i].Actions = []mcts.Action[*toy]{{Key: e.key, Prior: e.prior, Reward: e.reward, State: e.state, Next: e.next}}
			o.given++
		}
		if r.Known+1 < len(s.edges) {
			out[i].Offer = s.edges[r.Known+1].prior
		}
	}
	return out, nil
}

// falling puts the edges of a state and of those below it in the order of their priors.
func falling(s *toy) *toy {
	out := &toy{value: s.value, terminal: s.terminal}
	for _, e := range s.edges {
		e.next = falling(e.next)
		out.edges = append(out.edges, e)
	}
	slices.SortStableFunc(out.edges, func(a, b edge) int { return cmp.Compare(b.prior, a.prior) })
	return out
}

func TestActionsOfferedOneByOneAreTakenAsIfAllWereKnown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		s := falling(drawToy(rt, 4, "s"))
		all := growRapid(rt, cfg, s)[0]
		cfg.Offers = true
		o := &offering{}
		trees, err := mcts.Run(rt.Context(), o, []mcts.Root[*toy]{{State: s}}, cfg)
		require.NoError(rt, err)
		requireAlike(rt, all, trees[0], 0, 0)
		require.LessOrEqual(rt, o.given, all.Len()-1)
	})
}

// requireAlike holds the visited nodes of two trees below two nodes to each other, by their actions.
func requireAlike(rt *rapid.T, a, b *mcts.Tree[*toy], i, j int) {
	require.Equal(rt, a.Node(i).Visits, b.Node(j).Visits)
	require.Equal(rt, a.Node(i).ValueSum, b.Node(j).ValueSum)
	require.Equal(rt, a.Node(i).Prior, b.Node(j).Prior)
	below := map[string]int{}
	for _, c := range b.Children(j) {
		below[b.Node(c).Action] = c
	}
	for _, c := range a.Children(i) {
		n := a.Node(c)
		if n.Prior == 0 { // an action of no probability is never offered
			continue
		}
		at, known := below[n.Action]
		require.True(rt, known || n.Visits == 0, "node %d was visited in one tree alone", c)
		if known {
			requireAlike(rt, a, b, c, at)
		}
	}
}

func TestATreeWithNothingUnknownIsGrown(t *testing.T) {
	t.Parallel()
	for _, cfg := range []mcts.Config{configured(1_000_000), gumbel(1_000_000)} {
		for _, leaves := range []int{1, 7} {
			for seed := range uint64(4) {
				cfg.Close, cfg.Discount, cfg.Leaves = true, 0.9, leaves
				cfg.CInit, cfg.Gumbel.ValueScale = 50, 0 // broad
				root := enumerable(seed, 4, 3)
				tree := grow(t, root, cfg)
				require.Zero(t, tree.UnderWay())
				require.Equal(t, 1+3+9+27+81, tree.Stats().Evaluations)
				require.Less(t, tree.Stats().Simulations, 1_000_000)
				best := 0.0
				for _, n := range tree.Nodes() {
					if n.Terminal {
						best = max(best, returnTo(tree, n, 0.9))
					}
				}
				require.InDelta(t, optimum(root, 0.9), best, 1e-12)
			}
		}
	}
}

// returnTo is what the way to an ended node earns.
func returnTo(tree *mcts.Tree[*toy], n mcts.Node, discount float64) float64 {
	sum := n.Raw
	for ; n.Parent >= 0; n = tree.Node(n.Parent) {
		sum = n.Reward + discount*sum
	}
	return sum
}

func TestSharedStatesCloseForAllThatLeadToThem(t *testing.T) {
	t.Parallel()
	root, states := subsets(5, 3)
	cfg := configured(1_000_000)
	cfg.Share, cfg.Close, cfg.CInit = true, true, 50
	tree := grow(t, root, cfg)
	require.Equal(t, states, tree.Stats().Evaluations)
	require.Less(t, tree.Stats().Simulations, 1_000_000)
}

func TestOffersGoWithNeitherNoiseNorWidening(t *testing.T) {
	t.Parallel()
	cfg := configured(1)
	cfg.Offers, cfg.NoiseFraction, cfg.Widen.Factor = true, 0.25, 1
	err := cfg.Validate()
	require.ErrorContains(t, err, "noise_fraction of 0.25")
	require.ErrorContains(t, err, "widen factor of 1")
}

// Actions whose priors are all 0 used to have no number for a logit.
func TestOffersWithoutAPriorAreEqualToAGumbelSearch(t *testing.T) {
	t.Parallel()
	cfg := gumbel(4)
	cfg.Offers = true
	trees, err := mcts.Run(t.Context(), &offering{}, []mcts.Root[*toy]{{State: bandit(0, []float64{0}, []float64{1})}}, cfg)
	require.NoError(t, err)
	s, err := trees[0].Snapshot()
	require.NoError(t, err)
	require.Equal(t, []float64{0}, s.Logits)
	_, err = mcts.Restore(s)
	require.NoError(t, err, "it used to be refused for a logit that is NaN")
}
