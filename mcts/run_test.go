package mcts_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// enumerable is a full tree of the given depth and width with random rewards in [0, 1) and uninformed values.
func enumerable(seed uint64, depth, width int) *toy {
	rng := hone.Rand(hone.Seed(seed, "enumerable"))
	var build func(depth int) *toy
	build = func(depth int) *toy {
		s := &toy{value: rng.Float64(), terminal: depth == 0}
		for i := range width {
			if depth > 0 {
				s.edges = append(s.edges, edge{
					key: fmt.Sprint(i), prior: 1 / float64(width), reward: rng.Float64(), next: build(depth - 1),
				})
			}
		}
		return s
	}
	return build(depth)
}

func TestWavesHoldOneLeafOfEveryTreeThatHasOne(t *testing.T) {
	t.Parallel()
	eval := &toys{}
	roots := []mcts.Root[*toy]{
		{State: enumerable(1, 5, 3)},
		{State: &toy{value: 1, terminal: true}},
		{State: enumerable(2, 5, 3)},
	}
	trees, err := mcts.Run(t.Context(), eval, roots, configured(4))
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 2, 2, 2}, eval.batches)
	require.Equal(t, mcts.Stats{Simulations: 4, Evaluations: 1}, trees[1].Stats(), "a terminal root is evaluated once")
}

// A narrow tree has as many leaves as it has evaluations, but walks come to the likely ones again and again.
func TestMoreCollisionsFillTheWavesOfANarrowTree(t *testing.T) {
	t.Parallel()
	with := func(collisions int) (batches []int, stats mcts.Stats) {
		eval := &toys{}
		cfg := configured(126)
		cfg.Leaves, cfg.Collisions = 64, collisions
		trees, err := mcts.Run(t.Context(), eval, []mcts.Root[*toy]{{State: enumerable(3, 9, 2)}}, cfg)
		require.NoError(t, err)
		require.Zero(t, trees[0].UnderWay())
		return eval.batches, trees[0].Stats()
	}
	few, stats := with(0)
	same, alike := with(64)
	require.Equal(t, few, same, "by default as many as leaves")
	require.Equal(t, stats, alike)
	many, _ := with(64 * 64)
	require.Equal(t, []int{1, 2, 4, 8, 16, 32, 64}, many, "all leaves that there are")
	require.Greater(t, len(few), len(many))
}

func TestNoRootsMakeNoTreesAndNoCalls(t *testing.T) {
	t.Parallel()
	eval := &toys{}
	trees, err := mcts.Run(t.Context(), eval, nil, configured(4))
	require.NoError(t, err)
	require.Empty(t, trees)
	require.Empty(t, eval.batches)
}

func TestLinesStartWithEachVisitedChildInOrder(t *testing.T) {
	t.Parallel()
	tree := grow(t, bandit(0, []float64{0.25, 0.25, 0.25, 0.25}, []float64{0.1, 0.9, 0.5, 0}), configured(400))
	var first []string
	for _, line := range tree.Lines(3) {
		first = append(first, actions(tree, line)...)
	}
	require.Equal(t, []string{"1", "2", "0"}, first)
	require.Empty(t, tree.Lines(-1))
	require.Len(t, tree.Lines(100), 4)
}

func TestBadEvaluationsEndTheSearchWithAReason(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	act := func(prior, reward float64) []mcts.Evaluation[int] {
		return []mcts.Evaluation[int]{{Actions: []mcts.Action[int]{{Key: "go", Prior: prior, Reward: reward}}}}
	}
	cases := map[string]struct {
		give []mcts.Evaluation[int]
		err  error
		want error
		says string
	}{
		"evaluator fails":   {err: lost, want: lost, says: "evaluate 1 states: lost"},
		"too few":           {want: hone.ErrInvalid, says: "got 0 evaluations for 1 states"},
		"value not finite":  {give: []mcts.Evaluation[int]{{Value: math.NaN()}}, want: hone.ErrNonFinite, says: "tree 0, node 0: value is NaN"},
		"prior not finite":  {give: act(math.Inf(1), 0), want: hone.ErrNonFinite, says: `action "go": prior is +Inf`},
		"prior negative":    {give: act(-0.5, 0), want: hone.ErrInvalid, says: `action "go": prior is -0.5`},
		"reward not finite": {give: act(1, math.Inf(-1)), want: hone.ErrNonFinite, says: `action "go": reward is -Inf`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eval := evaluatorOf[int](func(context.Context, []mcts.Request[int]) ([]mcts.Evaluation[int], error) { return c.give, c.err })
			trees, err := mcts.Run(t.Context(), eval, []mcts.Root[int]{{}}, configured(3))
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.Nil(t, trees)
		})
	}
}

func TestZeroPriorsBecomeEqual(t *testing.T) {
	t.Parallel()
	tree := grow(t, bandit(0, []float64{0, 0, 0, 0}, make([]float64, 4)), configured(8))
	require.Equal(t, []int{2, 2, 2, 2}, visits(tree))
	require.InDelta(t, 0.25, tree.Node(1).Prior, 0)
}

func TestCancelledContextEndsTheSearch(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	eval := evaluatorOf[int](func(_ context.Context, requests []mcts.Request[int]) ([]mcts.Evaluation[int], error) {
		if calls++; calls == 3 {
			cancel()
		}
		out := make([]mcts.Evaluation[int], len(requests))
		for i, r := range requests {
			out[i].Actions = []mcts.Action[int]{{Key: "on", Prior: 1, Next: r.State + 1}}
		}
		return out, nil
	})
	_, err := mcts.Run(ctx, eval, []mcts.Root[int]{{}}, configured(100))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, calls)
}

func TestConfigReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, mcts.DefaultConfig().Validate())
	bad := mcts.Config{Simulations: -1, CInit: math.NaN(), CBase: 0, Discount: 1.5, NoiseAlpha: -3, NoiseFraction: 2}
	err := bad.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{
		"simulations is -1", "c_init is NaN", "c_base is 0", "discount is 1.5", "noise_alpha is -3", "noise_fraction is 2",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = mcts.Run(t.Context(), &toys{}, nil, bad)
	require.ErrorIs(t, err, hone.ErrInvalid)
}
