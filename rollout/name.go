package rollout

import (
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/task"
)

// States are the task's names of the states that the nodes of a search tree stand for, [nodes], such as "5 6 6": what is left after the
// steps down to there. A step that is not good leaves the state as it was. Nodes are those of [Found.Tree] by their index, also as they
// come back from storage; one whose parent doesn't come before it has no name.
func States(t task.Task, problem hone.Problem, nodes []mcts.Node) []string {
	out := make([]string, len(nodes))
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		switch {
		case i == 0:
		case n.Parent < 0 || n.Parent >= i:
			continue
		default:
			step := strings.TrimSuffix(strings.TrimSuffix(n.Action, stopMark), cutMark)
			texts[i] = texts[n.Parent] + step + stepEnd
		}
		out[i], _ = t.State(problem, texts[i])
	}
	return out
}
