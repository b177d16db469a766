package mcts

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
)

// Subtree is a new tree whose root is node i, with all that the search knows from there on: a move is made, and the search goes on
// from where it leads. The new tree has cfg.Simulations to make and has made none; rng feeds its noise, as in [Root.Rng]. The old
// tree stays as it is. A node never evaluated, and a root without the generator that its noise needs, are [hone.ErrInvalid].
func (t *Tree[S]) Subtree(i int, rng *rand.Rand) (*Tree[S], error) {
	if i < 0 || i >= t.Len() {
		return nil, fmt.Errorf("subtree at node %d: want 0 to %d: %w", i, t.Len()-1, hone.ErrInvalid)
	}
	top := t.reached(i)
	if top == none || t.nodes[top].order == none {
		return nil, fmt.Errorf("subtree at node %d, which was never evaluated: %w", i, hone.ErrInvalid)
	}
	out, err := New(Root[S]{State: t.states[top], Rng: rng}, t.cfg)
	if err != nil {
		return nil, fmt.Errorf("subtree at node %d %w", i, err)
	}
	out.transplant(t, top)
	out.start()
	return out, nil
}

// transplant fills t, which has its root alone, with what from knows below its node top. Nodes are taken by their distance from the
// top, so that whatever leads to a node comes before what follows it.
func (t *Tree[S]) transplant(from *Tree[S], top int32) {
	old, renamed := []int32{top}, map[int32]int32{top: 0} // nodes by new index, and the reverse
	for i := int32(0); int(i) < len(old); i++ {
		was := &from.nodes[old[i]]
		t.nodes[i].adopt(was)
		moved := t.copyEdges(i, from, was)
		for _, l := range from.linksOf(was) {
			child, ok := renamed[l.child]
			if !ok {
				child = t.addNode(from.states[l.child], moved(l.edge), from.nodes[l.child].depth-from.nodes[top].depth)
				renamed[l.child] = child
				old = append(old, l.child)
			}
			l.child, l.edge, l.flight = child, moved(l.edge), 0
			t.take(i, l)
		}
		t.seek(i)
	}
	t.low, t.high = from.low, from.high
	for name, i := range from.names { // which fills a map: the order is nothing to see
		if now, ok := renamed[i]; ok {
			t.names[name] = now
		}
	}
	t.renumber()
}

// adopt takes over what was found out at the state, but for the edges.
func (n *node) adopt(was *node) {
	n.know(was.valueSum, was.visits)
	n.raw, n.mass = was.raw, was.mass
	n.order, n.terminal, n.full, n.closed, n.offer = was.order, was.terminal, was.full, was.closed, was.offer
}

// copyEdges gives node i the edges of was, a node of from, none of them taken, and tells where each went.
func (t *Tree[S]) copyEdges(i int32, from *Tree[S], was *node) (moved func(e int32) int32) {
	edges := make(map[int32]int32, was.actions)
	for b := was.block; b != none; b = from.blocks[b].next {
		at := int32(len(t.priors))
		t.addBlock(i, from.actions[b])
		for j := range from.blocks[b].count {
			e := from.blocks[b].first + j
			edges[e] = at + j
			t.priors[at+j] = *from.prior(e)
			if int(e) < len(from.clean) {
				t.priors[at+j] = from.clean[e]
			}
		}
	}
	return func(e int32) int32 { return edges[e] }
}

// renumber counts the evaluated nodes in the order in which they were evaluated.
func (t *Tree[S]) renumber() {
	var evaluated []int32
	for i := range t.nodes {
		if t.nodes[i].order != none {
			evaluated = append(evaluated, int32(i))
		}
	}
	slices.SortFunc(evaluated, func(a, b int32) int { return int(t.nodes[a].order - t.nodes[b].order) })
	for order, i := range evaluated {
		t.nodes[i].order = int32(order)
	}
	t.stats.Evaluations = len(evaluated)
}
