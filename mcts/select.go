package mcts

import "math"

// minSpread is the smallest denominator of a normalised Q, as in Mctx: siblings of equal value all get 0.
const minSpread = 1e-8

// selectChild is the unmasked child of node i with the highest score, the first of equals; none where there is none to take.
func (p *pool) selectChild(i int32) int32 {
	lo, hi := p.children(i)
	if lo == hi {
		return none
	}
	low, spread := p.bounds(i)
	factor := p.exploration(p.nodes[i].visits)
	best, bestScore := none, math.Inf(-1)
	for c := lo; c < hi; c++ {
		n := &p.nodes[c]
		if n.masked {
			continue
		}
		score := factor * n.explore / float64(n.visits+1)
		if n.visits > 0 {
			score += (n.q - low) / spread
		}
		if score > bestScore {
			best, bestScore = c, score
		}
	}
	return best
}

// exploration is sqrt(N) * (c1 + log((N + c2 + 1) / c2)), by which a child's P/(n+1) is multiplied.
func (p *pool) exploration(visits int32) float64 {
	n := float64(visits)
	return math.Sqrt(n) * (p.cfg.CInit + math.Log((n+p.cfg.CBase+1)/p.cfg.CBase))
}

// bounds is what normalises Q among the children of node i: the least of the node's value and its visited children's Q, and
// the distance from there to the greatest.
func (p *pool) bounds(i int32) (low, spread float64) {
	low = p.nodes[i].value()
	high := low
	lo, hi := p.children(i)
	for c := lo; c < hi; c++ {
		if n := &p.nodes[c]; n.visits > 0 {
			low, high = min(low, n.q), max(high, n.q)
		}
	}
	return low, max(high-low, minSpread)
}
