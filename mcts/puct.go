package mcts

import "math"

// minSpread is the smallest denominator of a normalised Q, as in Mctx: siblings of equal value all get 0.
const minSpread = 1e-8

// puct is the unmasked edge out of n with the highest score, the first of equals; none where there is none to take. It is the
// k-th of the node's links, or one never taken, and then k is none. Of those never taken, which differ in their priors alone, the
// node knows the best. An action that its evaluator offers counts as one of them, and is [offered] where it is the best.
func (a *arena) puct(n *node) (e, k int32) {
	run := a.linksOf(n)
	low, spread := a.bounds(n, run)
	factor := a.exploration(n.visits + n.flight)
	first := 0.0 // the normalised value of a child never visited
	if a.cfg.FirstPlay == FirstPlayParent {
		first = (n.mean-low)/spread - a.cfg.FirstPlayReduction
	}
	e, k = none, none
	best := math.Inf(-1)
	if n.next != none {
		e, best = n.next, factor*n.prior+first
	}
	if n.offer > 0 && !n.asked && factor*n.offer+first > best {
		e, best = offered, factor*n.offer+first
	}
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
		if score >= best && (score > best || l.edge < e || e == offered && l.idle()) && l.prior >= 0 {
			e, k, best = l.edge, int32(j), score
		}
	}
	return e, k
}

// plain tells that [arena.quiet] goes by the configured rule.
func (c *Config) plain() bool {
	return c.Selection == SelectPUCT && c.Normalisation == NormaliseSiblings && c.FirstPlay == FirstPlayLeast && !c.Offers
}

// quiet is puct by the default rule, at a node that no walk is under way through. Most choices of a search are of this kind.
func (a *arena) quiet(n *node) (e, k int32) {
	run := a.linksOf(n)
	low, high := n.mean, n.mean
	for j := range run {
		l := &run[j]
		if l.visits == 0 { // left by a walk that was given up
			return a.puct(n)
		}
		if l.q < low {
			low = l.q
		}
		if l.q > high {
			high = l.q
		}
	}
	spread := high - low
	if spread < minSpread {
		spread = minSpread
	}
	factor := a.exploration(n.visits)
	e, k = none, none
	best := math.Inf(-1)
	if n.next != none {
		e, best = n.next, factor*n.prior
	}
	for j := range run {
		l := &run[j]
		score := factor*l.prior/float64(l.visits+1) + (l.q-low)/spread
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

// bounds is what normalises Q among the children of n, whose links are run: the least of the range, and the distance from there to the
// greatest.
func (a *arena) bounds(n *node, run []link) (low, spread float64) {
	switch a.cfg.Normalisation {
	case NormaliseNone:
		return 0, 1
	case NormaliseTree:
		return a.low, max(a.high-a.low, minSpread)
	case NormaliseSiblings:
	}
	low, high := n.mean, n.mean
	for j := range run {
		if l := &run[j]; l.visits > 0 {
			low, high = min(low, l.q), max(high, l.q)
		}
	}
	return low, max(high-low, minSpread)
}
