package mcts_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/mcts"
)

// These tests carry the numbers of the project's checklist of what a correct search does.

// replayBandit does PUCT on a bandit of terminal arms with every sum written out, as an oracle.
func replayBandit(value float64, priors, rewards []float64, simulations int) []int {
	counts := make([]int, len(priors))
	total, n := value, 1.0
	for range simulations {
		mean := total / n
		low, high := mean, mean
		for i, c := range counts {
			if c > 0 {
				low, high = math.Min(low, rewards[i]), math.Max(high, rewards[i])
			}
		}
		best, bestScore := 0, math.Inf(-1)
		for i, c := range counts {
			q := low
			if c > 0 {
				q = rewards[i]
			}
			pbc := 1.25 + math.Log((n+19652+1)/19652)
			score := (q-low)/math.Max(high-low, 1e-8) + math.Sqrt(n)*pbc*priors[i]/float64(c+1)
			if score > bestScore {
				best, bestScore = i, score
			}
		}
		counts[best]++
		total += rewards[best]
		n++
	}
	return counts
}

func TestChecklist45ScoreIsPUCTAndTheFirstEvaluationCountsAsAVisit(t *testing.T) {
	t.Parallel()
	priors, rewards := []float64{0.25, 0.125, 0.5, 0.125}, []float64{0.5, 0.9, 0.1, 0.3}
	for _, simulations := range []int{0, 1, 2, 3, 7, 50, 1000} {
		tree := grow(t, bandit(0.4, priors, rewards), configured(simulations))
		require.Equal(t, replayBandit(0.4, priors, rewards, simulations), visits(tree), "%d simulations", simulations)
		require.Equal(t, simulations+1, tree.Node(0).Visits)
	}
	// Were the root's evaluation no visit, sqrt(N) would be 0 and the first simulation would go to the first child.
	require.Equal(t, []int{0, 0, 1, 0}, visits(grow(t, bandit(0.4, priors, rewards), configured(1))))
}

func TestChecklist46ScaleAndShiftOfValuesChangeNothing(t *testing.T) {
	t.Parallel()
	priors, rewards := []float64{0.25, 0.25, 0.5}, []float64{0.5, 0.75, 0.125}
	want := visits(grow(t, bandit(0.25, priors, rewards), configured(200)))
	for _, k := range []struct{ scale, shift float64 }{{1024, 0}, {1, -4}, {64, 512}, {0.125, 0}} {
		moved := make([]float64, len(rewards))
		for i, r := range rewards {
			moved[i] = k.scale*r + k.shift
		}
		got := visits(grow(t, bandit(k.scale*0.25+k.shift, priors, moved), configured(200)))
		require.Equal(t, want, got, "values times %v plus %v", k.scale, k.shift)
	}
}

func TestChecklist46UnvisitedChildrenCountAsTheLeastValue(t *testing.T) {
	t.Parallel()
	// After the first visit Q is 1 for child 0 against 0 for the root, so Qn is 1 for it and 0, the minimum, for child 1. Then
	// child 0 scores 1 + sqrt(2)*c*0.6/2 = 1.53 and child 1 sqrt(2)*c*0.4 = 0.71. Taken at the parent's mean of 0.5, child 1 would
	// be 0.5 higher, and would still lose; at the sibling's 1 it would win.
	tree := grow(t, bandit(0, []float64{0.6, 0.4}, []float64{1, 1}), configured(2))
	require.Equal(t, []int{2, 0}, visits(tree))
	// With Q of child 0 below the root's value, the minimum is that Q, and the two are told apart by exploration alone.
	tree = grow(t, bandit(1, []float64{0.6, 0.4}, []float64{0, 0}), configured(2))
	require.Equal(t, []int{1, 1}, visits(tree))
}

func TestChecklist47UnvisitedChildrenKeepTheirExplorationTerm(t *testing.T) {
	t.Parallel()
	// Every arm is worth nothing. If an unvisited arm had no exploration term, the first would be pulled for ever.
	priors := []float64{0.5, 0.25, 0.125, 0.125}
	tree := grow(t, bandit(0, priors, make([]float64, 4)), configured(800))
	for i, n := range visits(tree) {
		require.InDelta(t, 800*priors[i], n, 2, "visits follow the priors where values are equal")
	}
}

func TestChecklist48BackupIsADiscountedRunningMeanWithoutSignFlip(t *testing.T) {
	t.Parallel()
	// One line: root -(reward -2)-> a -(reward 3)-> b, which is terminal and worth 8; gamma is 0.5.
	b := &toy{value: 8, terminal: true}
	a := &toy{value: 5, edges: []edge{{key: "b", prior: 1, reward: 3, next: b}}}
	root := &toy{value: 1, edges: []edge{{key: "a", prior: 1, reward: -2, next: a}}}
	cfg := configured(3)
	cfg.Discount = 0.5
	tree := grow(t, root, cfg)
	// Returns at a: 5, then 3 + 0.5*8 = 7 twice. At the root: 1, then -2 + 0.5*5 = 0.5, then -2 + 0.5*7 = 1.5 twice.
	require.Equal(t, []string{"a", "b"}, actions(tree, tree.Best()))
	require.InDelta(t, 4.5, tree.Node(0).ValueSum, 0)
	require.InDelta(t, 19, tree.Node(1).ValueSum, 0)
	require.InDelta(t, 16, tree.Node(2).ValueSum, 0)
	require.Equal(t, []int{4, 3, 2}, []int{tree.Node(0).Visits, tree.Node(1).Visits, tree.Node(2).Visits})
	require.InDelta(t, -2+0.5*19.0/3, tree.Node(1).Q, 1e-12)
	require.InDelta(t, 3+0.5*8, tree.Node(2).Q, 0)
}

func TestChecklist49TerminalLeafBacksUpItsRewardEachVisitAndIsNeverExpanded(t *testing.T) {
	t.Parallel()
	never := &toy{}
	end := &toy{value: 0.75, terminal: true, edges: []edge{{key: "beyond", prior: 1, next: never}}}
	root := &toy{value: 0.25, edges: []edge{{key: "end", prior: 1, next: end}}}
	eval := &toys{}
	trees, err := mcts.Run(t.Context(), eval, []mcts.Root[*toy]{{State: root}}, configured(9))
	require.NoError(t, err)
	leaf := trees[0].Node(1)
	require.True(t, leaf.Terminal)
	require.Equal(t, 9, leaf.Visits)
	require.InDelta(t, 9*0.75, leaf.ValueSum, 0)
	require.Equal(t, 2, trees[0].Len(), "nothing follows a terminal state")
	require.Equal(t, map[*toy]int{root: 1, end: 1}, eval.asked)
	require.Equal(t, mcts.Stats{Simulations: 9, Evaluations: 2}, trees[0].Stats())
}

func TestChecklist50DuplicatesMergeAndTheirPriorsSum(t *testing.T) {
	t.Parallel()
	x, y, later := &toy{value: 0.5}, &toy{value: 0.5}, &toy{value: -9}
	root := &toy{edges: []edge{
		{key: "x", prior: 0.1, next: x},
		{key: "y", prior: 0.3, next: y},
		{key: "x", prior: 0.4, next: later},
	}}
	tree := grow(t, root, configured(1))
	require.Len(t, tree.Children(0), 2)
	require.InDelta(t, 0.5/0.8, tree.Node(1).Prior, 1e-15)
	require.InDelta(t, 0.3/0.8, tree.Node(2).Prior, 1e-15)
	require.Equal(t, []int{1, 0}, visits(tree), "together the two went before y")
	require.Same(t, x, tree.State(1), "the first of equal keys is the one that is followed")
}

func TestChecklist51MaskedActionsAreNeverTakenAndGetNoTarget(t *testing.T) {
	t.Parallel()
	root := bandit(0, []float64{0.7, 0.2, 0.1}, []float64{1, 0.5, 0.25})
	root.edges[0].masked = true
	tree := grow(t, root, configured(64))
	got := visits(tree)
	require.Zero(t, got[0])
	require.Equal(t, 64, got[1]+got[2])
	policy, err := tree.Policy(1)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0, float64(got[1]) / 64, float64(got[2]) / 64}, policy, 1e-15)
	require.Zero(t, tree.Node(1).Prior)
	require.InDelta(t, 2.0/3, tree.Node(2).Prior, 1e-15, "priors are scaled over what is open")
}

func TestChecklist51AllMaskedIsADeadEndThatKeepsItsValue(t *testing.T) {
	t.Parallel()
	root := bandit(0.5, []float64{0.5, 0.5}, []float64{1, 1})
	root.edges[0].masked, root.edges[1].masked = true, true
	tree := grow(t, root, configured(4))
	require.Equal(t, 5, tree.Node(0).Visits)
	require.InDelta(t, 2.5, tree.Node(0).ValueSum, 0)
	require.Empty(t, tree.Best())
	require.Empty(t, tree.Lines(3))
	policy, err := tree.Policy(1)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, policy)
}

// The root of Mctx's own bandit test: logits [-1, 0, 2, 3], the last action invalid, one simulation.
func TestChecklist51MaskedBanditOfMctx(t *testing.T) {
	t.Parallel()
	priors := []float64{math.Exp(-1), 1, math.Exp(2), math.Exp(3)}
	root := bandit(0, priors, make([]float64, 4))
	root.edges[3].masked = true
	tree := grow(t, root, configured(1))
	require.Equal(t, []string{"2"}, actions(tree, tree.Best()))
	policy, err := tree.Policy(1)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0, 1, 0}, policy)
}

// The same root under Gumbel selection without noise.
func TestChecklist51MaskedBanditOfMctxUnderGumbel(t *testing.T) {
	t.Parallel()
	priors := []float64{math.Exp(-1), 1, math.Exp(2), math.Exp(3)}
	root := bandit(0, priors, make([]float64, 4))
	root.edges[3].masked = true
	tree := grow(t, root, gumbel(1))
	require.Equal(t, []string{"2"}, actions(tree, tree.Best()))
	policy, err := tree.Policy(0)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0, 1, 0}, policy)
	improved := tree.Improved()
	require.Zero(t, improved[3])
	require.InDelta(t, priors[2]/(priors[0]+priors[1]+priors[2]), improved[2], 1e-12, "equal values leave the priors as they are")
}

func TestChecklist46UnnormalisedValuesCountAsTheyAre(t *testing.T) {
	t.Parallel()
	// Child 0 earns 0.2 and child 1 0.1. Among siblings that is 1 against 0; as it is, exploration outweighs it.
	root := bandit(0.1, []float64{0.5, 0.5}, []float64{0.2, 0.1})
	cfg := configured(12)
	sharp := visits(grow(t, root, cfg))
	cfg.Normalisation = mcts.NormaliseNone
	flat := visits(grow(t, root, cfg))
	require.Greater(t, sharp[0], flat[0])
	require.InDelta(t, 6, flat[0], 1)
	// After one visit each the range of the tree is [0.1, 0.2] too, so that it agrees with siblings where there is one level.
	cfg.Normalisation = mcts.NormaliseTree
	require.Equal(t, sharp, visits(grow(t, root, cfg)))
}

func TestChecklist46RangeOfTheTreeHoldsAllLevels(t *testing.T) {
	t.Parallel()
	// Below child 0 lies a return of 8, so that 0.2 against 0.1 among the root's other children is next to nothing.
	far := &toy{value: 8, edges: []edge{{key: "far", prior: 1, next: &toy{value: 8, terminal: true}}}}
	root := bandit(0.1, []float64{0.5, 0.25, 0.25}, []float64{0, 0.2, 0.1})
	root.edges[0].next = far
	cfg := configured(40)
	cfg.CInit = 8
	cfg.Normalisation = mcts.NormaliseTree
	got := visits(grow(t, root, cfg))
	require.InDelta(t, got[1], got[2], 1)
	require.Greater(t, got[0], got[1])
}

func TestChecklist47FirstPlayAtTheParentsValue(t *testing.T) {
	t.Parallel()
	// The first arm is below the root's value. At the least of the range, prior alone brings the second arm in; at the parent's value
	// its supposed value does, at once, whatever its prior.
	root := bandit(1, []float64{0.99, 0.01}, []float64{0, 0})
	cfg := configured(2)
	require.Equal(t, []int{2, 0}, visits(grow(t, root, cfg)))
	cfg.FirstPlay = mcts.FirstPlayParent
	require.Equal(t, []int{1, 1}, visits(grow(t, root, cfg)))
	cfg.FirstPlayReduction = 1
	require.Equal(t, []int{2, 0}, visits(grow(t, root, cfg)), "less the reduction it is the least again")
}

func TestChecklist52VirtualLossIsGoneOnSuccessFailureAndCancel(t *testing.T) {
	t.Parallel()
	cfg := configured(60)
	cfg.Leaves = 8
	for name, stop := range map[string]int{"success": -1, "failure": 3, "cancel": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tree, err := mcts.New(mcts.Root[*toy]{State: enumerable(3, 5, 3)}, cfg)
			require.NoError(t, err)
			eval, underWay := &toys{}, 0
			spy := evaluatorOf[*toy](func(ctx context.Context, requests []mcts.Request[*toy]) ([]mcts.Evaluation[*toy], error) {
				underWay = max(underWay, tree.UnderWay())
				if len(eval.batches) == stop {
					cancel()
					return nil, fmt.Errorf("stopped: %w", context.Canceled)
				}
				return eval.Evaluate(ctx, requests)
			})
			err = mcts.Grow(ctx, spy, []*mcts.Tree[*toy]{tree})
			require.Positive(t, underWay, "walks were under way")
			require.Zero(t, tree.UnderWay())
			if stop < 0 {
				require.NoError(t, err)
				require.Equal(t, 61, tree.Node(0).Visits)
				return
			}
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, tree.Stats().Simulations+1, tree.Node(0).Visits, "what was given up left no visit")
			require.NoError(t, mcts.Grow(t.Context(), eval, []*mcts.Tree[*toy]{tree}))
			require.Equal(t, grow(t, enumerable(3, 5, 3), cfg).Nodes(), tree.Nodes(), "and the search goes on as if nothing had been")
		})
	}
}

func TestChecklist52OneLeafAtATimeIsTheSerialSearch(t *testing.T) {
	t.Parallel()
	cfg := configured(200)
	want := grow(t, enumerable(4, 6, 3), cfg).Nodes()
	for _, loss := range []float64{0, 0.5, 100} {
		cfg.VirtualLoss = loss
		require.Equal(t, want, grow(t, enumerable(4, 6, 3), cfg).Nodes(), "virtual loss of %v", loss)
	}
}

func TestChecklist52ManyLeavesAreOneCall(t *testing.T) {
	t.Parallel()
	cfg := configured(3 * 16)
	cfg.Leaves = 16
	eval := &toys{}
	trees, err := mcts.Run(t.Context(), eval, []mcts.Root[*toy]{{State: enumerable(5, 3, 20)}}, cfg)
	require.NoError(t, err)
	require.Equal(t, []int{1, 16, 16, 16}, eval.batches, "the root alone, then waves")
	require.Zero(t, trees[0].Stats().Collisions)
	// A single line can't be walked twice at once: the second walk waits for nothing, and is given up.
	line := &toy{edges: []edge{{key: "on", prior: 1, next: &toy{value: 1, terminal: true}}}}
	tree := grow(t, line, cfg)
	require.Equal(t, 48, tree.Stats().Simulations)
	require.Equal(t, 16, tree.Stats().Collisions)
}

func TestChecklist54SharedStatesAreEvaluatedOnceAndNotCountedTwice(t *testing.T) {
	t.Parallel()
	root, states := subsets(6, 3)
	cfg := configured(40_000)
	cfg.Share = true
	eval := &toys{}
	trees, err := mcts.Run(t.Context(), eval, []mcts.Root[*toy]{{State: root, Name: "0"}}, cfg)
	require.NoError(t, err)
	tree, stats := trees[0], trees[0].Stats()
	require.LessOrEqual(t, stats.Evaluations, states, "a state is evaluated once")
	for s, n := range eval.asked {
		require.Equal(t, 1, n, "%v", s)
	}
	require.Positive(t, stats.Joined)
	require.Zero(t, stats.Cut, "equal sets are equally deep")
	want := optimum(root, 1)
	require.InDelta(t, want, lineReturn(tree, 1), 1e-9, "the best line is the best line")
	// What is counted twice would be wrong in the mean: the root's value is its own evaluation and its children's returns, each with
	// the visits over its edge, and no more.
	sum, n := tree.Node(0).Raw, 1
	for _, c := range tree.Children(0) {
		child := tree.Node(c)
		sum += float64(child.Visits) * child.Q
		n += child.Visits
	}
	require.Equal(t, n, tree.Node(0).Visits)
	require.InDelta(t, sum, tree.Node(0).ValueSum, 1e-6)
	require.InDelta(t, want, tree.Node(0).ValueSum/float64(tree.Node(0).Visits), 0.1)
	cfg.Share = false
	alone := grow(t, root, cfg)
	require.Greater(t, alone.Stats().Evaluations, 2*stats.Evaluations, "the tree evaluates every order of the same steps")
}

func TestChecklist54CyclesAreCut(t *testing.T) {
	t.Parallel()
	here, there := &toy{value: 0.25}, &toy{value: 0.75}
	here.edges = []edge{{key: "go", prior: 1, next: there, state: "there"}}
	there.edges = []edge{{key: "come back", prior: 1, next: here, state: "here"}}
	cfg := configured(50)
	cfg.Share = true
	trees, err := mcts.Run(t.Context(), &toys{}, []mcts.Root[*toy]{{State: here, Name: "here"}}, cfg)
	require.NoError(t, err)
	tree := trees[0]
	require.Equal(t, 50, tree.Stats().Simulations)
	require.Positive(t, tree.Stats().Cut)
	for i, n := range tree.Nodes() {
		require.Less(t, n.Parent, i)
		for _, c := range tree.Children(i) {
			require.Greater(t, c, i, "children come after their parent, so nothing leads back")
		}
	}
}
