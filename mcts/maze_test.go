package mcts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// maze makes up, from nothing but a seed and a room's number, what lies behind each door, so that any search can go anywhere in it
// and a tree can be kept as text. Few rooms have many doors leading to them, also from deeper down.
type maze struct {
	seed  uint64
	rooms int
	calls int
	// fail is the call that is refused; 0 is none.
	fail int
}

var errRefused = errors.New("refused")

func (m *maze) Evaluate(_ context.Context, requests []mcts.Request[int]) ([]mcts.Evaluation[int], error) {
	if m.calls++; m.calls == m.fail {
		return nil, errRefused
	}
	out := make([]mcts.Evaluation[int], len(requests))
	for i, r := range requests {
		rng := hone.Rand(hone.Seed(m.seed, "room", r.State))
		out[i] = mcts.Evaluation[int]{Value: rng.Float64(), Terminal: rng.IntN(8) == 0, Cost: 1 + rng.IntN(5)}
		if r.Known < 6 {
			out[i].Offer = hone.Rand(hone.Seed(m.seed, "offer", r.State, r.Known)).Float64()
		}
		for door := range 1 + rng.IntN(4) {
			if r.Known > 0 { // two more each time, until there are eight
				if r.Known >= 8 || door >= 2 {
					break
				}
				door += r.Known
			}
			rng := hone.Rand(hone.Seed(m.seed, "door", r.State, door))
			next := rng.IntN(m.rooms)
			key := fmt.Sprint(rng.IntN(9))
			if r.Known > 0 && door == r.Known {
				key = fmt.Sprint("door ", door) // what is on offer comes to an end
			}
			out[i].Actions = append(out[i].Actions, mcts.Action[int]{
				Key: key, Prior: rng.Float64(), Reward: rng.Float64() - 0.5,
				Masked: rng.IntN(9) == 0, State: fmt.Sprint(next), Next: next,
			})
		}
	}
	return out, nil
}

// drawSearch draws a configuration in which anything may be on.
func drawSearch(rt *rapid.T) mcts.Config {
	cfg := configured(rapid.IntRange(1, 80).Draw(rt, "simulations"))
	cfg.Discount = float64(rapid.IntRange(0, 4).Draw(rt, "discount")) / 4
	cfg.Leaves = rapid.SampledFrom([]int{1, 1, 2, 5, 16}).Draw(rt, "leaves")
	cfg.VirtualLoss = float64(rapid.IntRange(0, 2).Draw(rt, "loss"))
	cfg.Selection = rapid.SampledFrom([]mcts.Selection{mcts.SelectPUCT, mcts.SelectGumbel}).Draw(rt, "selection")
	cfg.Normalisation = rapid.SampledFrom([]mcts.Normalisation{
		mcts.NormaliseSiblings, mcts.NormaliseTree, mcts.NormaliseNone,
	}).Draw(rt, "normalisation")
	cfg.FirstPlay = rapid.SampledFrom([]mcts.FirstPlay{mcts.FirstPlayLeast, mcts.FirstPlayParent}).Draw(rt, "first")
	cfg.NoiseFraction = float64(rapid.IntRange(0, 1).Draw(rt, "noise")) / 4
	cfg.Gumbel.Considered = rapid.IntRange(1, 5).Draw(rt, "considered")
	cfg.Gumbel.Raw = rapid.Bool().Draw(rt, "raw")
	cfg.Share = rapid.Bool().Draw(rt, "share")
	cfg.Widen.Factor = float64(rapid.IntRange(0, 3).Draw(rt, "widen"))
	cfg.Budget = rapid.SampledFrom([]int{0, 0, 40}).Draw(rt, "budget")
	cfg.Close = rapid.Bool().Draw(rt, "close")
	cfg.Offers = cfg.NoiseFraction == 0 && cfg.Widen.Factor == 0 && rapid.Bool().Draw(rt, "offers")
	return cfg
}

func newTree(rt *rapid.T, cfg mcts.Config, seed uint64) *mcts.Tree[int] {
	tree, err := mcts.New(mcts.Root[int]{State: 0, Name: "0", Rng: hone.Rand(hone.Seed(seed, "noise"))}, cfg)
	require.NoError(rt, err)
	return tree
}

// requireSound checks what holds of any tree at rest.
func requireSound(rt *rapid.T, cfg mcts.Config, tree *mcts.Tree[int]) {
	require.Zero(rt, tree.UnderWay())
	nodes, stats := tree.Nodes(), tree.Stats()
	require.Equal(rt, stats.Simulations+1, nodes[0].Visits)
	evaluated := 0
	for i, n := range nodes {
		require.Equal(rt, n, tree.Node(i))
		require.Less(rt, n.Parent, i)
		if n.Order >= 0 {
			evaluated++
		}
		if n.Masked {
			require.Zero(rt, n.Prior)
		}
		children, priors, open, below, sum := tree.Children(i), 0.0, false, 0, n.Raw
		for _, c := range children {
			child := nodes[c]
			require.GreaterOrEqual(rt, nodes[child.Parent].Order, 0, "of nodes that stand for one state the first reached is the parent")
			open = open || !child.Masked
			priors += child.Prior
			below += child.Visits
			sum += float64(child.Visits) * child.Q
		}
		if open && !cfg.Offers {
			require.InDelta(rt, 1, priors, 1e-9, "node %d", i)
		}
		if i == 0 && open {
			require.Equal(rt, n.Visits, 1+below)
			require.InDelta(rt, sum, n.ValueSum, 1e-9)
		}
	}
	require.Equal(rt, stats.Evaluations, evaluated)
	if cfg.Budget == 0 && !cfg.Close {
		require.Equal(rt, cfg.Simulations, stats.Simulations)
	}
	line := tree.Best()
	require.Equal(rt, len(line) > 0, len(tree.Lines(1)) > 0)
	policy, err := tree.Policy(1)
	require.NoError(rt, err)
	require.Len(rt, policy, len(tree.Children(0)))
}

func TestAnySearchLeavesASoundTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed, cfg := rapid.Uint64().Draw(rt, "seed"), drawSearch(rt)
		tree := newTree(rt, cfg, seed)
		require.NoError(rt, mcts.Grow(rt.Context(), &maze{seed: seed, rooms: 40}, []*mcts.Tree[int]{tree}))
		requireSound(rt, cfg, tree)
	})
}

// A call that fails at any time leaves a tree that can be kept as text, taken up again and grown to what it would have been.
func TestSavedAndResumedSearchesEndAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed, cfg := rapid.Uint64().Draw(rt, "seed"), drawSearch(rt)
		want := newTree(rt, cfg, seed)
		whole := &maze{seed: seed, rooms: 40}
		require.NoError(rt, mcts.Grow(rt.Context(), whole, []*mcts.Tree[int]{want}))

		tree := newTree(rt, cfg, seed)
		if whole.calls > 1 {
			broken := &maze{seed: seed, rooms: 40, fail: rapid.IntRange(2, whole.calls).Draw(rt, "fail")}
			require.ErrorIs(rt, mcts.Grow(rt.Context(), broken, []*mcts.Tree[int]{tree}), errRefused)
			require.Zero(rt, tree.UnderWay())
			snapshot, err := tree.Snapshot()
			require.NoError(rt, err)
			text, err := json.Marshal(snapshot)
			require.NoError(rt, err)
			var loaded mcts.Snapshot[int]
			require.NoError(rt, json.Unmarshal(text, &loaded))
			tree, err = mcts.Restore(loaded)
			require.NoError(rt, err)
		}
		require.NoError(rt, mcts.Grow(rt.Context(), &maze{seed: seed, rooms: 40}, []*mcts.Tree[int]{tree}))
		require.Equal(rt, want.Nodes(), tree.Nodes())
		require.Equal(rt, want.Stats(), tree.Stats())
		require.Equal(rt, want.Best(), tree.Best())
	})
}

func TestASubtreeKeepsWhatWasKnownAndGoesOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed, cfg := rapid.Uint64().Draw(rt, "seed"), drawSearch(rt)
		cfg.Close = false // a tree that is closed grows no further
		cfg.Budget = 0
		tree := newTree(rt, cfg, seed)
		require.NoError(rt, mcts.Grow(rt.Context(), &maze{seed: seed, rooms: 40}, []*mcts.Tree[int]{tree}))
		line := tree.Best()
		if len(line) == 0 {
			return
		}
		was := tree.Nodes()
		sub, err := tree.Subtree(line[0], hone.Rand(seed))
		require.NoError(rt, err)
		require.Equal(rt, was, tree.Nodes(), "the old tree stays as it is")
		require.Equal(rt, tree.State(line[0]), sub.State(0))
		children, moved := tree.Children(line[0]), sub.Children(0)
		require.Len(rt, moved, len(children))
		for i, c := range children {
			old, now := tree.Node(c), sub.Node(moved[i])
			require.Equal(rt, old.Action, now.Action)
			require.Equal(rt, old.Visits, now.Visits)
			require.InDelta(rt, old.Q, now.Q, 0)
			require.InDelta(rt, old.Prior, now.Prior, 1e-12)
		}
		before := sub.Node(0).Visits
		require.NoError(rt, mcts.Grow(rt.Context(), &maze{seed: seed, rooms: 40}, []*mcts.Tree[int]{sub}))
		require.Equal(rt, before+cfg.Simulations, sub.Node(0).Visits)
		require.Equal(rt, cfg.Simulations, sub.Stats().Simulations)
		require.Zero(rt, sub.UnderWay())
	})
}

func TestWideningAsksForMoreAsVisitsGrow(t *testing.T) {
	t.Parallel()
	cfg := configured(200)
	cfg.Widen.Factor, cfg.Widen.Exponent = 2, 0.5
	most := 0
	width := func(n int) int { return min(2*n, 25) }
	eval := evaluatorOf[int](func(_ context.Context, requests []mcts.Request[int]) ([]mcts.Evaluation[int], error) {
		out := make([]mcts.Evaluation[int], len(requests))
		for i, r := range requests {
			for k := r.Known; k < width(1+r.Known/2); k++ {
				out[i].Actions = append(out[i].Actions, mcts.Action[int]{Key: fmt.Sprint(k), Prior: 1, Next: r.State + 1})
			}
			most = max(most, r.Known)
		}
		return out, nil
	})
	trees, err := mcts.Run(t.Context(), eval, make([]mcts.Root[int], 1), cfg)
	require.NoError(t, err)
	tree := trees[0]
	require.Equal(t, 200, tree.Stats().Simulations, "asking is no simulation")
	require.Len(t, tree.Children(0), 25, "the evaluator had no more")
	for i, n := range tree.Nodes() {
		if n.Visits > 0 {
			got := len(tree.Children(i))
			require.LessOrEqual(t, got*got, max(4, 4*(n.Visits+2)), "2 * sqrt(N), with two at a time")
		}
	}
	require.Equal(t, 25, most, "it was asked again once it had given all, and not after")
	require.InDelta(t, 1.0/25, tree.Node(1).Prior, 1e-12, "priors of all blocks are scaled together")
}

func TestASpentBudgetLeavesTheTreeAlone(t *testing.T) {
	t.Parallel()
	cfg := configured(1000)
	cfg.Budget = 30
	cost := func(trees ...uint64) []mcts.Stats {
		var out []mcts.Stats
		var all []*mcts.Tree[int]
		for _, seed := range trees {
			tree, err := mcts.New(mcts.Root[int]{State: int(seed)}, cfg)
			require.NoError(t, err)
			all = append(all, tree)
		}
		require.NoError(t, mcts.Grow(t.Context(), &maze{seed: 1, rooms: 1000}, all))
		for _, tree := range all {
			out = append(out, tree.Stats())
		}
		return out
	}
	spent := 0
	for i, s := range cost(2, 3, 4, 5) {
		if s.Simulations < cfg.Simulations { // one whose root leads nowhere costs next to nothing
			spent++
			require.GreaterOrEqual(t, s.Cost, 30)
		}
		require.Less(t, s.Cost, 30+5, "no more than one evaluation above it")
		require.Equal(t, cost(uint64(2 + i))[0], s, "whatever the others spend")
	}
	require.GreaterOrEqual(t, spent, 2)
}

func FuzzRestore(f *testing.F) {
	tree, err := mcts.New(mcts.Root[int]{}, gumbel(12))
	require.NoError(f, err)
	require.NoError(f, mcts.Grow(f.Context(), &maze{seed: 3, rooms: 20}, []*mcts.Tree[int]{tree}))
	snapshot, err := tree.Snapshot()
	require.NoError(f, err)
	text, err := json.Marshal(snapshot)
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"nodes":[{"order":0,"edge":-1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var loaded mcts.Snapshot[int]
		if json.Unmarshal(text, &loaded) != nil {
			return
		}
		tree, err := mcts.Restore(loaded)
		if err != nil {
			require.True(t, errors.Is(err, hone.ErrInvalid) || errors.Is(err, hone.ErrNonFinite), "%v", err)
			return
		}
		// Whatever was restored can be read, and grown a little.
		require.Len(t, tree.Nodes(), tree.Len())
		require.NotNil(t, tree.Lines(2))
		if loaded.Limit-loaded.Stats.Simulations < 200 && loaded.Config.Leaves < 100 && loaded.Config.Widen.Factor < 10 {
			_ = mcts.Grow(t.Context(), &maze{seed: 3, rooms: 20}, []*mcts.Tree[int]{tree})
			require.Zero(t, tree.UnderWay())
		}
	})
}
