package rollout_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
)

// line is a node below parent.
func line(node, parent, visits int, q float64, action string) mcts.Node {
	return mcts.Node{Node: node, Parent: parent, Visits: visits, Q: q, Action: action}
}

func TestPreferStepsSetsTheBestStepAgainstTheWorst(t *testing.T) {
	t.Parallel()
	tok, err := token.Open("arithmetic-v1")
	require.NoError(t, err)
	problem := hone.Problem{Task: "game24", Key: "4 5 6 10", Prompt: "4 5 6 10 = 24\n"}
	nodes := []mcts.Node{
		line(0, -1, 9, 0, ""),
		line(1, 0, 4, 0.75, "10 - 4 = 6 (left: 5 6 6)"),
		line(2, 0, 2, 0.1, "10 + 4 = 14 (left: 5 6 14)"),
		line(3, 0, 1, -1, "5 + 6 = 11 (left: 4 10 11)"), // not visited often enough
		line(4, 0, 2, 0.1, "6 * 10 = 60 (left: 4 5 60)"),
		line(5, 1, 2, 1, "5 * 6 = 30 (left: 6 30)"),
		line(6, 1, 2, 0.9, "5 + 6 = 11 (left: 6 11)"), // too near to its sibling
		line(7, 5, 2, 1, "30 - 6 = 24 (left: 24)"),
		line(8, 5, 2, 0, "6"+"␄"), // the policy stopped
		line(9, 5, 3, -1, "30 + 6 = 3…"),
	}
	pairs, err := rollout.PreferSteps(tok, problem, nodes, rollout.DefaultPreference())
	require.NoError(t, err)
	require.Len(t, pairs, 2)
	text := tok.Decode
	require.Equal(t, problem.Prompt, text(pairs[0].Prefix))
	require.Equal(t, "10 - 4 = 6 (left: 5 6 6)\n", text(pairs[0].Chosen))
	require.Equal(t, "10 + 4 = 14 (left: 5 6 14)\n", text(pairs[0].Rejected), "of equally bad steps the first")
	require.Equal(t, problem.Prompt+"10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n", text(pairs[1].Prefix))
	require.Equal(t, "30 - 6 = 24 (left: 24)\n", text(pairs[1].Chosen))
	require.Equal(t, tok.EOS(), pairs[1].Rejected[len(pairs[1].Rejected)-1])
	require.Equal(t, "6", strings.TrimSpace(text(pairs[1].Rejected[:len(pairs[1].Rejected)-1])))

	none, err := rollout.PreferSteps(tok, problem, nodes[:1], rollout.DefaultPreference())
	require.NoError(t, err)
	require.Empty(t, none)
	nodes[5].Parent = 7
	_, err = rollout.PreferSteps(tok, problem, nodes, rollout.DefaultPreference())
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "node 5 of index 5 has parent 7")
	require.ErrorIs(t, rollout.Preference{Visits: 1}.Validate(), hone.ErrInvalid)
	require.NoError(t, rollout.DefaultPreference().Validate())
}

// The pairs of a real search are lines of its tree, and the better step leads to the answer.
func TestPreferStepsOfASearch(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates, c.Search.Tree.Simulations = 40, 60 })
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge,
	})
	require.NoError(t, err)
	pairs, err := rollout.PreferSteps(f.script.tokenizer, f.problem, found[0].Tree, rollout.DefaultPreference())
	require.NoError(t, err)
	require.NotEmpty(t, pairs)
	require.Equal(t, prompt, f.script.tokenizer.Decode(pairs[0].Prefix))
	require.Equal(t, good1, f.script.tokenizer.Decode(pairs[0].Chosen))
	require.NotEqual(t, pairs[0].Chosen, pairs[0].Rejected)
}
