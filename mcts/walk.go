package mcts

import "slices"

// walk is a way down from the root that is under way, or was taken.
type walk struct {
	path []step // from the root on
	leaf int32
	end  ending
}

// step is one link of a walk: the k-th of a node's.
type step struct{ node, k int32 }

// ending says why a walk ended where it did.
type ending uint8

const (
	endLeaf     ending = iota // at a state never evaluated
	endKnown                  // at a state that can't be left, whose value is known
	endJoined                 // over a new edge to a state that was evaluated before
	endCollided               // at a state that another walk under way waits for to go on
	endWiden                  // at a node that asks for more actions
)

// waits tells that the walk needs the evaluator.
func (w *walk) waits() bool { return w.end == endLeaf || w.end == endWiden }

// descend takes w from the root down by the selection rule, and puts it under way.
func (t *Tree[S]) descend(w *walk) {
	path := w.path[:0]
	i, fresh := int32(0), false // fresh: reached over an edge without a visit
	for {
		n := &t.nodes[i]
		if n.order == none || fresh {
			w.end = endJoined
			if n.order == none {
				w.end = endLeaf
			}
			break
		}
		e, k := offered, none
		if t.cfg.Widen.Factor == 0 || !t.wantsActions(n, i) {
			e, k = t.choose(n, i)
		}
		if e < 0 {
			w.end = t.halt(n, i, e)
			break
		}
		n.flight++
		if k == none {
			k = t.takeAction(i, e)
			n = &t.nodes[i]
		}
		path = append(path, step{node: i, k: k})
		l := &t.links[n.links+k]
		fresh = l.visits+l.flight == 0
		l.flight++
		i = l.child
	}
	n := &t.nodes[i]
	if w.end == endLeaf && n.flight > 0 {
		w.end = endCollided
	}
	n.flight++
	w.path, w.leaf = path, i
}

// halt says why a walk ends at node i, which was evaluated, where selection gave e: an action on offer, or none.
func (a *arena) halt(n *node, i, e int32) ending {
	switch {
	case e == offered || a.mayAsk(n, i): // or all that it has is masked
		n.asked = true
		return endWiden
	case n.asked:
		return endCollided
	default:
		return endKnown
	}
}

// choose is the edge that the selection rule takes from node i; it is the k-th link, or one never taken, and then k is none.
func (a *arena) choose(n *node, i int32) (e, k int32) {
	switch {
	case a.plain && n.flight == 0:
		return a.quiet(n)
	case a.cfg.Selection != SelectGumbel:
		return a.puct(n)
	case n.block == none:
		return none, none
	case i == 0:
		return a.gumbelRoot()
	default:
		return a.improved(i)
	}
}

// takeAction makes a link of edge e out of node i, with the node that it leads to, and returns its place among the node's.
func (t *Tree[S]) takeAction(i, e int32) int32 {
	b := t.nodes[i].block
	for e < t.blocks[b].first || e >= t.blocks[b].first+t.blocks[b].count {
		b = t.blocks[b].next
	}
	action := &t.actions[b][e-t.blocks[b].first]
	child := t.follow(e, t.nodes[i].depth+1, action)
	return t.take(i, link{reward: action.Reward, child: child, edge: e})
}

// follow is the node that edge e leads to, made where there is none yet.
func (t *Tree[S]) follow(e, depth int32, action *Action[S]) int32 {
	if !t.cfg.Share || action.State == "" {
		return t.addNode(action.Next, e, depth)
	}
	i, ok := t.names[action.State]
	switch {
	case !ok:
		i = t.addNode(action.Next, e, depth)
		t.names[action.State] = i
	case t.nodes[i].depth < depth: // an edge always leads deeper, so that no way comes back to where it was
		t.stats.Cut++
		i = t.addNode(action.Next, e, depth)
	}
	return i
}

// release takes w out of flight.
func (t *Tree[S]) release(w *walk) {
	leaf := &t.nodes[w.leaf]
	leaf.flight--
	if w.end == endWiden {
		leaf.asked = false
	}
	for _, s := range w.path {
		n := &t.nodes[s.node]
		n.flight--
		t.links[n.links+s.k].flight--
	}
}

// backup takes w out of flight, and folds the return from its leaf on into the leaf and all that w went through.
func (t *Tree[S]) backup(w *walk) {
	leaf := &t.nodes[w.leaf]
	leaf.flight--
	value := leaf.raw
	if w.end == endJoined {
		value = leaf.mean
	} else {
		leaf.learn(value)
	}
	mean, low, high := leaf.mean, t.low, t.high
	for _, s := range slices.Backward(w.path) {
		n := &t.nodes[s.node]
		l := &t.links[n.links+s.k]
		q := l.reward + t.cfg.Discount*mean
		value = l.reward + t.cfg.Discount*value
		if t.cfg.Share {
			// What other ways taught the child counts for the visits over this edge, and no more.
			value = float64(l.visits+1)*q - float64(l.visits)*l.q
		}
		l.q = q
		l.visits++
		l.flight--
		n.flight--
		n.learn(value)
		low, high = min(low, q), max(high, q)
		mean = n.mean
	}
	if t.cfg.Close {
		t.closeUp(w)
	}
	t.low, t.high = min(low, t.nodes[0].mean), max(high, t.nodes[0].mean)
}

// closeUp closes what w found to be known, from its leaf up.
func (t *Tree[S]) closeUp(w *walk) {
	t.close(w.leaf)
	below := w.leaf
	for _, s := range slices.Backward(w.path) {
		if !t.nodes[below].closed {
			return
		}
		t.close(s.node)
		below = s.node
	}
}
