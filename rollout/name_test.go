package rollout_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/rollout"
)

func TestStatesOfATreeAreTheTasks(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge,
	})
	require.NoError(t, err)
	tree := found[0].Tree
	states := rollout.States(f.task, f.problem, tree)
	require.Equal(t, "4 5 6 10", states[0])
	seen := 0
	for i, n := range tree {
		before := states[max(n.Parent, 0)]
		switch {
		case i == 0:
		case n.Action == strings.TrimSpace(untrue):
			require.Equal(t, before, states[i], "a step that isn't true leads nowhere")
		case strings.Contains(n.Action, "(left: "):
			_, left, _ := strings.Cut(n.Action, "(left: ")
			require.Equal(t, strings.TrimSuffix(left, ")"), states[i])
			seen++
		default:
			require.Equal(t, before, states[i], n.Action)
		}
	}
	require.Greater(t, seen, 5)
}
