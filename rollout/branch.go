package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/advantage"
)

// Branches are what a search tree says of each step of the line that was made of it, [S]: the step's Q, and those of its siblings that
// the search visited, weighed by their priors, so that the baseline is what the policy itself could expect there of what was tried.
// Nodes are those of [Found.Tree] by their index, also as they come back from storage.
//
// A step that the tree does not hold has no siblings, and neither have those after it: a line that the tree left open was completed
// greedily, and one that went through a shared state goes on under another node.
//
// Nodes whose parents don't come before them are [hone.ErrInvalid].
func Branches(line hone.Trajectory, nodes []mcts.Node) ([]advantage.Branch, error) {
	children := make([][]int, len(nodes))
	for i, n := range nodes {
		if n.Node != i || n.Parent >= i || (n.Parent < 0) != (i == 0) {
			return nil, fmt.Errorf("tree of %s: node %d of index %d has parent %d: %w", line.ID, i, n.Node, n.Parent, hone.ErrInvalid)
		}
		if i > 0 && n.Visits > 0 {
			children[n.Parent] = append(children[n.Parent], i)
		}
	}
	out := make([]advantage.Branch, len(line.Steps))
	at := 0
	for s, step := range line.Steps {
		if at >= len(nodes) {
			break // there is no tree
		}
		key := step.Text
		if s == len(line.Steps)-1 && !strings.HasSuffix(line.Text, stepEnd) {
			key += map[hone.Finish]string{hone.FinishStop: stopMark, hone.FinishLength: cutMark}[line.Finish]
		}
		k := slices.IndexFunc(children[at], func(child int) bool { return nodes[child].Action == key })
		if k < 0 {
			break
		}
		out[s].Q = nodes[children[at][k]].Q
		weights := 0.0
		for _, child := range children[at] {
			out[s].Siblings = append(out[s].Siblings, advantage.Sibling{Q: nodes[child].Q, Weight: nodes[child].Prior})
			weights += nodes[child].Prior
		}
		if weights == 0 { // priors too small for a number: there is nothing to expect
			out[s].Siblings = nil
		}
		at = children[at][k]
	}
	return out, nil
}
