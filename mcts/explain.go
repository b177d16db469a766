package mcts

import "math/rand/v2"

// Terms say what selection would make of a node among its siblings, as the tree stands.
type Terms struct {
	// Value is the normalised Q, that of a child never visited as [Config.FirstPlay] supposes it; Explore is the exploration term. PUCT
	// takes the child of the greatest sum. Of a Gumbel search Value is the share that the improved policy gives the child, and Explore is
	// less its share of the visits: below the root that search takes the child of the greatest sum, too.
	Value   float64 `json:"value"`
	Explore float64 `json:"explore"`
	// Chosen marks the line that the search recommends.
	Chosen bool `json:"chosen"`
	// Halving is how a Gumbel search came to its choice among the root's children; nil for all others, and where it isn't known any more.
	Halving *Halving `json:"halving,omitempty"`
}

// Explain gives the terms of selection for each of the nodes of a tree, as [Tree.Nodes] lists them, from the numbers that a record of it
// holds. The root has none. The line marked is that of the most visits, of equals the higher Q, then the lower index; a Gumbel search
// begins it with the highest score of those visited most. rng is the generator that the root began with, which draws its noise again for
// the halving; nil where it isn't known. The noise that the root's priors had is left out of the terms, and [NormaliseTree] takes the
// range of the Q that are left to see.
func Explain(nodes []Node, cfg Config, rng *rand.Rand) []Terms {
	out := make([]Terms, len(nodes))
	children := make([][]int, len(nodes))
	low, high := 0.0, 0.0
	for i, n := range nodes {
		if i == 0 && n.Visits > 0 {
			low = n.ValueSum / float64(n.Visits)
			high = low
		}
		if n.Parent >= 0 && n.Parent < i {
			children[n.Parent] = append(children[n.Parent], i)
			if n.Visits > 0 {
				low, high = min(low, n.Q), max(high, n.Q)
			}
		}
	}
	for i, n := range nodes {
		switch {
		case len(children[i]) == 0 || n.Visits == 0:
		case cfg.Selection == SelectGumbel:
			explainImproved(nodes, i, children[i], cfg, out)
		default:
			cfg.explain(nodes, i, children[i], bounds{low: low, high: high}, out)
		}
	}
	if len(nodes) > 0 && nodes[0].Visits > 0 {
		for e, h := range halve(nodes, children[0], cfg, rng) {
			out[children[0][e]].Halving = h
		}
	}
	for at := 0; at >= 0 && at < len(nodes); {
		best := none
		for _, c := range children[at] {
			if nodes[c].Visits > 0 && (best == none || before(nodes, out, c, int(best))) {
				best = int32(c)
			}
		}
		if best == none {
			break
		}
		at = int(best)
		out[at].Chosen = true
	}
	return out
}

// before tells whether node c is better than an earlier sibling: more visits, then the higher score of a halving, or the higher Q.
func before(nodes []Node, terms []Terms, c, than int) bool {
	n, m := &nodes[c], &nodes[than]
	if n.Visits != m.Visits {
		return n.Visits > m.Visits
	}
	if a, b := terms[c].Halving, terms[than].Halving; a != nil && b != nil {
		return a.Score > b.Score
	}
	return n.Q > m.Q
}

// bounds is a range of Q.
type bounds struct{ low, high float64 }

// explain fills in the terms of the children of node i.
func (c *Config) explain(nodes []Node, i int, children []int, tree bounds, out []Terms) {
	parent := nodes[i].ValueSum / float64(nodes[i].Visits)
	b := bounds{low: parent, high: parent}
	visits := 1
	for _, child := range children {
		if n := nodes[child]; n.Visits > 0 {
			b.low, b.high = min(b.low, n.Q), max(b.high, n.Q)
			visits += n.Visits
		}
	}
	spread := max(b.high-b.low, minSpread)
	switch c.Normalisation {
	case NormaliseTree:
		b, spread = tree, max(tree.high-tree.low, minSpread)
	case NormaliseNone:
		b, spread = bounds{}, 1
	case NormaliseSiblings:
	}
	factor := c.exploration(int32(visits))
	for _, child := range children {
		n := nodes[child]
		if n.Masked {
			continue
		}
		t := &out[child]
		t.Explore = factor * n.Prior / float64(n.Visits+1)
		switch {
		case n.Visits > 0:
			t.Value = (n.Q - b.low) / spread
		case c.FirstPlay == FirstPlayParent:
			t.Value = (parent-b.low)/spread - c.FirstPlayReduction
		}
	}
}
