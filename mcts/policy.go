package mcts

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Policy is the target that the search makes of its visits: for each of the root's children, in order, N^(1/temperature) over
// the sum. Temperature is >= 0; 0 puts everything on the favourite, which [Tree.Best] begins with. Masked children get 0; a root
// that none of whose children was visited gets zeros.
//
// Visits that only the root's noise brought are taken out first. A child whose prior the noise raised from P to P' gives back
// visits until its exploration term on the clean prior, P/(n+1), would pass the P'/(n'+1) that its n' visits had left it, or
// until selection on clean priors would prefer it to the favourite. The favourite keeps all its visits, and without noise every
// child does. Wu 2019, arXiv:1902.10565, section 3.2, prunes forced playouts so.
//
// Differs: what is taken out is bounded by the noise's own share, since no playout is forced here.
func (t *Tree[S]) Policy(temperature float64) ([]float64, error) {
	if !(temperature >= 0) || math.IsInf(temperature, 0) {
		return nil, fmt.Errorf("temperature is %v, want a finite number of at least 0: %w", temperature, hone.ErrInvalid)
	}
	lo, hi := t.children(0)
	out := make([]float64, hi-lo)
	favourite := t.favourite(0)
	if favourite == none {
		return out, nil
	}
	if temperature == 0 {
		out[favourite-lo] = 1
		return out, nil
	}
	// Relative to the favourite, which has the most visits, no power overflows.
	most, sum := math.Log(float64(t.nodes[favourite].visits)), 0.0
	for c := lo; c < hi; c++ {
		if visits := t.earned(c, favourite); visits > 0 {
			out[c-lo] = math.Exp((math.Log(float64(visits)) - most) / temperature)
			sum += out[c-lo]
		}
	}
	for i := range out {
		out[i] /= sum
	}
	return out, nil
}

// earned is the visits of the root's child c without those that only noise brought.
func (p *pool) earned(c, favourite int32) int32 {
	n := &p.nodes[c]
	if c == favourite || n.visits == 0 || n.explore <= n.prior {
		return n.visits
	}
	floor := float64(n.visits+1)*n.prior/n.explore - 1
	low, spread := p.bounds(0)
	factor := p.exploration(p.nodes[0].visits)
	score := func(c, visits int32) float64 {
		return (p.nodes[c].q-low)/spread + factor*p.nodes[c].prior/float64(visits+1)
	}
	limit := score(favourite, p.nodes[favourite].visits)
	visits := n.visits
	for visits > 0 && float64(visits-1) >= floor && score(c, visits-1) < limit {
		visits--
	}
	return visits
}
