package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/token"
)

// Preference says which steps of a tree are set against each other.
type Preference struct {
	// Visits is how often the search must have been through a step for its Q to be believed, >= 1.
	Visits int `json:"visits" yaml:"visits"`
	// Gap is the least difference of Q between the better and the worse step, > 0, in reward.
	Gap float64 `json:"gap" yaml:"gap"`
}

// DefaultPreference believes a step after two visits and asks for a quarter of a right answer between the two.
func DefaultPreference() Preference { return Preference{Visits: 2, Gap: 0.25} }

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (p Preference) Validate() error {
	if p.Visits < 1 || !(p.Gap > 0) {
		return fmt.Errorf("preference: visits %d, gap %v: want at least 1 and more than 0: %w", p.Visits, p.Gap, hone.ErrInvalid)
	}
	return nil
}

// PreferSteps makes pairs of next steps from a search tree: at every node the best of its steps by Q against the worst, where both were
// visited often enough and lie far enough apart. What comes before them, prompt and steps, is the pair's prefix. Nodes are those of
// [Found.Tree] by their index, also as they come back from storage. Pairs are in the order of the nodes; among equal Q the step known
// first is taken.
//
// A step that was cut off has no end to learn, and takes no part. Preferences among the next steps of one prefix are Step-DPO's
// (arXiv:2406.18629, section 3.1); that Q of a search tells them apart is Xie et al. 2024, arXiv:2405.00451, section 2.1.
//
// Nodes whose parents don't come before them, and texts that the tokenizer can't write, are [hone.ErrInvalid].
func PreferSteps(tok token.Tokenizer, problem hone.Problem, nodes []mcts.Node, p Preference) ([]dpo.Pair, error) {
	prompt, err := tok.Encode(problem.Prompt)
	if err != nil {
		return nil, fmt.Errorf("prompt of %s: %w", problem.ID(), err)
	}
	type contest struct{ best, worst int }
	contests := make([]contest, len(nodes))
	for i := range contests {
		contests[i] = contest{-1, -1}
	}
	for i, n := range nodes {
		if n.Node != i || n.Parent >= i || (n.Parent < 0) != (i == 0) {
			return nil, fmt.Errorf("tree of %s: node %d of index %d has parent %d: %w", problem.ID(), i, n.Node, n.Parent, hone.ErrInvalid)
		}
		if i == 0 || n.Visits < p.Visits || strings.HasSuffix(n.Action, cutMark) {
			continue
		}
		c := &contests[n.Parent]
		if c.best < 0 || n.Q > nodes[c.best].Q {
			c.best = i
		}
		if c.worst < 0 || n.Q < nodes[c.worst].Q {
			c.worst = i
		}
	}
	var out []dpo.Pair
	for at, c := range contests {
		if c.best < 0 || nodes[c.best].Q-nodes[c.worst].Q < p.Gap {
			continue
		}
		prefix, err := tokensTo(tok, nodes, at)
		if err != nil {
			return nil, fmt.Errorf("tree of %s: %w", problem.ID(), err)
		}
		pair := dpo.Pair{Prefix: slices.Concat(prompt, prefix)}
		if pair.Chosen, err = stepTokens(tok, nodes[c.best].Action); err != nil {
			return nil, fmt.Errorf("tree of %s: %w", problem.ID(), err)
		}
		if pair.Rejected, err = stepTokens(tok, nodes[c.worst].Action); err != nil {
			return nil, fmt.Errorf("tree of %s: %w", problem.ID(), err)
		}
		out = append(out, pair)
	}
	return out, nil
}

// tokensTo are the steps from the root to a node.
func tokensTo(tok token.Tokenizer, nodes []mcts.Node, at int) ([]hone.TokenID, error) {
	if at == 0 {
		return nil, nil
	}
	before, err := tokensTo(tok, nodes, nodes[at].Parent)
	if err != nil {
		return nil, err
	}
	step, err := stepTokens(tok, nodes[at].Action)
	return append(before, step...), err
}

// stepTokens is the step that a node's action names: the inverse of [stepKey] for steps that were not cut off.
func stepTokens(tok token.Tokenizer, action string) ([]hone.TokenID, error) {
	text, stopped := strings.CutSuffix(action, stopMark)
	if !stopped {
		text += stepEnd
	}
	tokens, err := tok.Encode(text)
	if err != nil {
		return nil, fmt.Errorf("step %q: %w", action, err)
	}
	if stopped {
		tokens = append(tokens, tok.EOS())
	}
	return tokens, nil
}
