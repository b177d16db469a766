package mcts

import "math"

// minSpread is the smallest denominator of a normalised Q, as in Mctx: siblings of equal value all get 0.
const minSpread = 1e-8

// puct is the unmasked edge out of node i with the highest score, the first of equals; none where there is none to take. It is the
// k-th of the node's links, or one never taken, and then k is none. Of those never taken, which differ in their priors alone, the
// node knows the best. An action that its evaluator offers counts as one of them, and is [offered] where it is the best.
func (a *arena) puct(i int32) (e, k int32) {
	n := &a.nodes[i]
	low, spread := a.bounds(n)
	factor := a.exploration(n.visits + n.flight)
	first := 0.0 // the normalised value of a child never visited
	if a.cfg.FirstPlay == FirstPlayParent {
		first = (n.value()-low)/spread - a.cfg.FirstPlayReduction
	}
	e, k = none, none
	best := math.Inf(-1)
	if n.next != none {
		e, best = n.next, factor*n.prior+first
	}
	if n.offer > 0 && !n.asked && factor*n.offer+first > best {
		e, best = offered, factor*n.offer+first
	}
	run := a.linksOf(n)
	for j := range run {
		l := &run[j]
		score := factor * l.prior / float64(l.visits+l.flight+1)
		switch {
		case l.flight > 0:
			score += a.lose(l, low, spread, first)
		case l.visits > 0:
			score += (l.q - low) / spread
		default:
			score += first
		}
		if score >= best && (score > best || l.edge < e) && l.prior >= 0 {
			e, k, best = l.edge, int32(j), score
		}
	}
	return e, k
}

// lose is the normalised value of l where the walks under way over it count as losses.
func (a *arena) lose(l *link, low, spread, first float64) float64 {
	x, weight := first, 1.0
	if l.visits > 0 {
		x, weight = (l.q-low)/spread, float64(l.visits)
	}
	return x * weight / (weight + a.cfg.VirtualLoss*float64(l.flight))
}

// bounds is what normalises Q among the children of n: the least of the range, and the distance from there to the greatest.
func (a *arena) bounds(n *node) (low, spread float64) {
	switch a.cfg.Normalisation {
	case NormaliseNone:
		return 0, 1
	case NormaliseTree:
		return a.low, max(a.high-a.low, minSpread)
	case NormaliseSiblings:
	}
	low = n.value()
	high := low
	run := a.linksOf(n)
	for j := range run {
		l := &run[j]
		if l.visits == 0 {
			continue
		}
		if l.q < low {
			low = l.q
		}
		if l.q > high {
			high = l.q
		}
	}
	return low, max(high-low, minSpread)
}
