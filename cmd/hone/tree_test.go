package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// sketch is a tree of a root, two steps, one of them with an end below it, and a step never visited.
func sketch(cfg mcts.Config) treeView {
	nodes := []mcts.Node{
		{Parent: -1, Visits: 5, ValueSum: 2.5, Prior: 1},
		{Node: 1, Parent: 0, Depth: 1, Order: 1, Visits: 1, Q: 0.25, ValueSum: 0.25, Prior: 0.5, Action: "4 + 5 = 9"},
		{Node: 2, Parent: 0, Depth: 1, Order: 2, Visits: 3, Q: 0.75, ValueSum: 2.25, Prior: 0.25, Action: "10 - 4 = 6"},
		{Node: 3, Parent: 0, Depth: 1, Order: -1, Prior: 0.25, Action: `say "no"`},
		{Node: 4, Parent: 2, Depth: 2, Order: 3, Visits: 2, Q: 1, ValueSum: 2, Prior: 1, Terminal: true, Action: "Answer: 24"},
	}
	states := []string{"4 5 6 10", "6 9 10", "5 6 6", "4 5 6 10", "5 6 6"}
	out := newTreeView(nodes, states, cfg, 7)
	out.Run, out.Iteration, out.Sample, out.Problem = "demo", 3, 64, hone.Problem{Prompt: "Use 4 5 6 10 to make 24.\n"}
	return out
}

func TestTreeIsDrawnWithItsNumbers(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	sketch(mcts.DefaultConfig()).write(&b, treeFlags{})
	text := b.String()
	require.Contains(t, text, "Use 4 5 6 10 to make 24.  (demo, cycle 3, sample 64)\n5 visits, V 0.500; 4 states evaluated, 4 steps known\n")
	require.Regexp(t, `├ \* 10 - 4 = 6 +3 +0\.750 +0\.250 +0\.750 +2 +1\.000`, text)
	require.Regexp(t, `│ └ \* Answer: 24  \(end\) +2 +1\.000`, text)
	require.Regexp(t, `└ 4 \+ 5 = 9 +1 +0\.250`, text)
	require.NotContains(t, text, "say")
	require.Regexp(t, `^[^\n]*\n[^\n]*\n\n4 5 6 10 +N +Q +P +V +order +value +\+ explore +node +state\n`, text)
	require.Regexp(t, `\* 10 - 4 = 6 .* 2 +5 6 6\n`, text)
	require.Contains(t, text, "10 - 4 = 6: 3 of 4 visits, Q 0.750, P 0.250; next of 2 tried: 4 + 5 = 9 with 1 visits, Q 0.250, P 0.500\n")
	require.Contains(t, text, "Answer: 24: 2 of 2 visits, Q 1.000, P 1.000; no other step was tried\n")

	b.Reset()
	sketch(mcts.DefaultConfig()).write(&b, treeFlags{all: true, depth: 1})
	require.Contains(t, b.String(), `say "no"`)
	require.NotContains(t, b.String(), "├ * Answer")
	require.NotContains(t, b.String(), "└ * Answer")
}

func TestTreeIsWrittenForGraphviz(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	sketch(mcts.DefaultConfig()).writeDot(&b, treeFlags{all: true})
	text := b.String()
	require.True(t, strings.HasPrefix(text, "digraph tree {\n"))
	require.Contains(t, text, `2 [label="10 - 4 = 6\nN 3  Q 0.750  P 0.250  V 0.750\n5 6 6", style=bold, tooltip="3 of 4 visits`)
	require.Contains(t, text, `3 [label="say \"no\"\n`)
	require.Contains(t, text, "2 -> 4 [penwidth=2.60];")
}

// Of four simulations on two actions considered each gets one, and then the better one two more.
func TestTreeOfAGumbelSearchTellsItsHalving(t *testing.T) {
	t.Parallel()
	cfg := mcts.DefaultConfig()
	cfg.Selection, cfg.Simulations, cfg.Gumbel.Considered, cfg.Gumbel.Scale = mcts.SelectGumbel, 4, 2, 0
	view := sketch(cfg)
	var b strings.Builder
	view.write(&b, treeFlags{})
	text := b.String()
	require.Regexp(t, `4 5 6 10 +N +Q +P +V +order +policy +- visits +node +state\n`, text)
	require.Regexp(t, `first step +N +noise +\+ logit +\+ Q +score +halving\n10 - 4 = 6 +3 +0\.000 +-0\.693 .* +left at the end\n`, text)
	require.Contains(t, text, "not considered: 1, whose noise and logit were less\n")
	require.Contains(t, text, "10 - 4 = 6: left when the halving ended, in round 1, and of the highest score")
	b.Reset()
	view.writeDot(&b, treeFlags{})
	require.Regexp(t, `score \d+\.\d+  round 1 of 1`, b.String())
}

func TestSharedStatesSayWhereTheyGoOn(t *testing.T) {
	t.Parallel()
	nodes := []mcts.Node{
		{Parent: -1, Visits: 4, ValueSum: 2, Prior: 1},
		{Node: 1, Parent: 0, Depth: 1, Order: 1, Visits: 2, Q: 0.5, ValueSum: 1, Prior: 0.5, Action: "one way"},
		{Node: 2, Parent: 0, Depth: 1, Order: -1, Visits: 1, Q: 0.5, ValueSum: 0.5, Prior: 0.5, Action: "another way"},
	}
	cfg := mcts.DefaultConfig()
	cfg.Share = true
	view := newTreeView(nodes, []string{"1 2 3", "3 3", "3 3"}, cfg, 7)
	require.Equal(t, 1, view.Nodes[2].Same)
	var b strings.Builder
	view.write(&b, treeFlags{})
	require.Contains(t, b.String(), "another way  (goes on at node 1)")
	b.Reset()
	view.writeDot(&b, treeFlags{})
	require.Contains(t, b.String(), "  2 -> 1 [style=dashed, constraint=false];\n")
}

func TestMissingTreesAreToldApart(t *testing.T) {
	t.Parallel()
	require.NoError(t, noTree("r", 8, [2]int{0, 1}, 2))
	for says, err := range map[string]error{
		"has search trees 0 to 1, not 2": noTree("r", 8, [2]int{0, 2}, 2),
		"searched is 0":                  noTree("r", 0, [2]int{0, 0}, 0),
		"was not searched yet":           noTree("r", 8, [2]int{9, 0}, 0),
	} {
		require.ErrorIs(t, err, hone.ErrNotFound)
		require.ErrorContains(t, err, says)
	}
}
