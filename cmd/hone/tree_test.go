package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// sketch is a tree of a root, two steps, one of them with an end below it, and a step never visited.
func sketch() treeView {
	nodes := []mcts.Node{
		{Parent: -1, Visits: 5, ValueSum: 2.5, Prior: 1},
		{Node: 1, Parent: 0, Depth: 1, Order: 1, Visits: 1, Q: 0.25, ValueSum: 0.25, Prior: 0.5, Action: "4 + 5 = 9"},
		{Node: 2, Parent: 0, Depth: 1, Order: 2, Visits: 3, Q: 0.75, ValueSum: 2.25, Prior: 0.25, Action: "10 - 4 = 6"},
		{Node: 3, Parent: 0, Depth: 1, Order: -1, Prior: 0.25, Action: `say "no"`},
		{Node: 4, Parent: 2, Depth: 2, Order: 3, Visits: 2, Q: 1, ValueSum: 2, Prior: 1, Terminal: true, Action: "Answer: 24"},
	}
	out := treeView{Run: "demo", Iteration: 3, Sample: 64, Problem: hone.Problem{Prompt: "Use 4 5 6 10 to make 24.\n"}}
	out.children = [][]int{{2, 1, 3}, nil, {4}, nil, nil}
	for i, terms := range mcts.Explain(nodes, mcts.DefaultConfig()) {
		n := treeNode{Node: nodes[i], Terms: terms}
		if n.Visits > 0 {
			n.Value = n.ValueSum / float64(n.Visits)
		}
		out.Nodes = append(out.Nodes, n)
	}
	return out
}

func TestTreeIsDrawnWithItsNumbers(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	sketch().write(&b, treeFlags{})
	text := b.String()
	require.Contains(t, text, "Use 4 5 6 10 to make 24.  (demo, cycle 3, sample 64)\n5 visits, V 0.500; 4 states evaluated, 4 steps known\n")
	require.Regexp(t, `├ \* 10 - 4 = 6 +3 +0\.750 +0\.250 +0\.750 +2 +1\.000`, text)
	require.Regexp(t, `│ └ \* Answer: 24  \(end\) +2 +1\.000`, text)
	require.Regexp(t, `└ 4 \+ 5 = 9 +1 +0\.250`, text)
	require.NotContains(t, text, "say")

	b.Reset()
	sketch().write(&b, treeFlags{all: true, depth: 1})
	require.Contains(t, b.String(), `say "no"`)
	require.NotContains(t, b.String(), "Answer")
}

func TestTreeIsWrittenForGraphviz(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	sketch().writeDot(&b, treeFlags{all: true})
	text := b.String()
	require.True(t, strings.HasPrefix(text, "digraph tree {\n"))
	require.Contains(t, text, `2 [label="10 - 4 = 6\nN 3  Q 0.750  P 0.250  V 0.750", style=bold];`)
	require.Contains(t, text, `3 [label="say \"no\"\n`)
	require.Contains(t, text, "2 -> 4 [penwidth=2.60];")
}
