package rollout_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/rollout"
)

// The line of a search is found again in its own tree, step for step, with what else was tried at each.
func TestBranchesOfALineAreItsTrees(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 40 })
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge,
	})
	require.NoError(t, err)
	line, tree := found[0].Trajectory, found[0].Tree
	require.Equal(t, good1+good2+good3+right, line.Text)
	branches, err := rollout.Branches(line, tree)
	require.NoError(t, err)
	require.Len(t, branches, len(line.Steps))
	at := 0
	for s, b := range branches {
		var want []advantage.Sibling
		next := -1
		for _, child := range childrenOf(tree, at) {
			n := tree[child]
			if n.Visits == 0 {
				continue
			}
			want = append(want, advantage.Sibling{Q: n.Q, Weight: n.Prior})
			if n.Action == line.Steps[s].Text {
				next = child
			}
		}
		require.Positive(t, next, line.Steps[s].Text)
		require.Equal(t, advantage.Branch{Q: tree[next].Q, Siblings: want}, b)
		at = next
	}
	first, err := branches[0].Advantage()
	require.NoError(t, err)
	require.Positive(t, first, "the step that greedy decoding misses is better than what the policy expects")
}

func TestStepsBeyondTheTreeHaveNothingToBeComparedWith(t *testing.T) {
	t.Parallel()
	line := hone.Trajectory{Text: "a\nb\nc", Finish: hone.FinishStop, Steps: []hone.Step{{Text: "a"}, {Text: "b"}, {Text: "c"}}}
	nodes := []mcts.Node{
		{Parent: -1, Visits: 9},
		{Node: 1, Visits: 4, Q: 0.75, Prior: 0.5, Action: "a"},
		{Node: 2, Visits: 2, Q: 0.25, Prior: 0.25, Action: "a␄"},
		{Node: 3, Prior: 0.25, Action: "never visited"},
		{Node: 4, Parent: 1, Visits: 3, Q: 1, Prior: 1, Action: "b"},
		{Node: 5, Parent: 4, Visits: 1, Q: 0.5, Prior: 0.5, Action: "c"},
		{Node: 6, Parent: 4, Visits: 1, Q: 0.25, Prior: 0.5, Action: "c␄"},
	}
	root := []advantage.Sibling{{Q: 0.75, Weight: 0.5}, {Q: 0.25, Weight: 0.25}}
	last := []advantage.Sibling{{Q: 0.5, Weight: 0.5}, {Q: 0.25, Weight: 0.5}}
	check := func(want ...advantage.Branch) {
		got, err := rollout.Branches(line, nodes)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	only := []advantage.Sibling{{Q: 1, Weight: 1}}
	check(advantage.Branch{Q: 0.75, Siblings: root}, advantage.Branch{Q: 1, Siblings: only}, advantage.Branch{Q: 0.25, Siblings: last})
	line.Finish = hone.FinishLength // it was cut off where the tree's line ended by itself
	check(advantage.Branch{Q: 0.75, Siblings: root}, advantage.Branch{Q: 1, Siblings: only}, advantage.Branch{})
	line.Text = strings.Join([]string{"a", "b", "c", ""}, "\n")
	check(advantage.Branch{Q: 0.75, Siblings: root}, advantage.Branch{Q: 1, Siblings: only}, advantage.Branch{Q: 0.5, Siblings: last})
	line.Steps[1].Text = "d" // completed greedily from here on
	check(advantage.Branch{Q: 0.75, Siblings: root}, advantage.Branch{}, advantage.Branch{})
	nodes[1].Prior, nodes[2].Prior = 0, 0
	check(advantage.Branch{Q: 0.75}, advantage.Branch{}, advantage.Branch{})
	nodes[4].Parent = 5
	_, err := rollout.Branches(line, nodes)
	require.ErrorIs(t, err, hone.ErrInvalid)
	nodes = nil
	check(advantage.Branch{}, advantage.Branch{}, advantage.Branch{})
}
