package mcts

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// expand records what the evaluator said of node i, gives the node its children, and backs its value up.
func (t *Tree[S]) expand(i int32, e Evaluation[S]) error {
	if err := finite("value", e.Value); err != nil {
		return err
	}
	n := &t.nodes[i]
	n.raw, n.terminal = e.Value, e.Terminal
	n.order = int32(t.stats.Evaluations)
	t.stats.Evaluations++
	if !e.Terminal {
		actions, err := merge(e.Actions)
		if err != nil {
			return err
		}
		t.addChildren(i, actions)
	}
	t.backup(i, e.Value)
	return nil
}

func (t *Tree[S]) addChildren(i int32, actions []Action[S]) {
	first, depth := int32(len(t.nodes)), t.nodes[i].depth+1
	t.nodes[i].first, t.nodes[i].count = first, int32(len(actions))
	for _, a := range actions {
		t.nodes = append(t.nodes, node{
			prior: a.Prior, explore: a.Prior, reward: a.Reward,
			parent: i, depth: depth, order: none, masked: a.Masked,
		})
		t.keys = append(t.keys, a.Key)
		t.states = append(t.states, a.Next)
	}
}

// merge makes one action of those with equal keys and scales the priors of the unmasked ones to sum to 1.
func merge[S any](actions []Action[S]) ([]Action[S], error) {
	out := make([]Action[S], 0, len(actions))
	seen := make(map[string]int, len(actions))
	for _, a := range actions {
		if err := finite("prior", a.Prior); err != nil {
			return nil, fmt.Errorf("action %q: %w", a.Key, err)
		}
		if err := finite("reward", a.Reward); err != nil {
			return nil, fmt.Errorf("action %q: %w", a.Key, err)
		}
		if a.Prior < 0 {
			return nil, fmt.Errorf("action %q: prior is %v, want at least 0: %w", a.Key, a.Prior, hone.ErrInvalid)
		}
		if at, ok := seen[a.Key]; ok {
			out[at].Prior += a.Prior
			out[at].Masked = out[at].Masked || a.Masked
			continue
		}
		seen[a.Key] = len(out)
		out = append(out, a)
	}
	scale(out)
	return out, nil
}

func scale[S any](actions []Action[S]) {
	sum, open := 0.0, 0
	for _, a := range actions {
		if !a.Masked {
			sum += a.Prior
			open++
		}
	}
	for i := range actions {
		switch a := &actions[i]; {
		case a.Masked:
			a.Prior = 0
		case sum == 0:
			a.Prior = 1 / float64(open)
		default:
			a.Prior /= sum
		}
	}
}
