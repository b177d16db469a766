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
	out := make([]float64, t.nodes[0].actions)
	favourite := t.favourite(0)
	if favourite == nil {
		return out, nil
	}
	// Relative to the most visits, no power overflows.
	most, sum := 0.0, 0.0
	run := t.linksOf(&t.nodes[0])
	for k := range run {
		most = max(most, math.Log(float64(run[k].visits)))
	}
	for i, one := range t.rootEdges() {
		switch {
		case one.link == nil:
		case temperature == 0 && one.link == favourite:
			out[i] = 1
		case temperature > 0:
			if visits := t.earned(one.link, favourite); visits > 0 {
				out[i] = math.Exp((math.Log(float64(visits)) - most) / temperature)
			}
		}
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out, nil
}

// Improved is the policy that completed Q makes of the priors: for each of the root's children, in order, softmax(log P + (VisitInit
// + most visits) * ValueScale * completed Q), with the constants of [Config.Gumbel]. Children never visited have the mix of the
// root's own value and the others' Q for theirs. Masked children get 0; a root without actions gets none. It is the target of
// Danihelka et al. 2022, eq. 11 and 12, and needs few visits to be better than the priors.
func (t *Tree[S]) Improved() []float64 {
	c, sum := t.complete(&t.nodes[0]), 0.0
	out := make([]float64, t.nodes[0].actions)
	actions, greatest := t.rootEdges(), math.Inf(-1)
	for _, one := range actions {
		if *t.prior(one.edge) >= 0 {
			greatest = max(greatest, c.ofLink(one.link))
		}
	}
	for i, one := range actions {
		if p := t.cleanPrior(one.edge); p > 0 {
			out[i] = p * math.Exp(c.ofLink(one.link)-greatest)
			sum += out[i]
		}
	}
	if sum > 0 {
		for i := range out {
			out[i] /= sum
		}
	}
	return out
}

// cleanPrior is edge e's prior without noise; 0 where it is masked.
func (a *arena) cleanPrior(e int32) float64 {
	if int(e) < len(a.clean) {
		return max(a.clean[e], 0)
	}
	return max(*a.prior(e), 0)
}

// earned is the visits of the root's link l without those that only noise brought.
func (a *arena) earned(l, favourite *link) int32 {
	prior := a.cleanPrior(l.edge)
	if l == favourite || l.visits == 0 || l.prior <= prior {
		return l.visits
	}
	floor := float64(l.visits+1)*prior/l.prior - 1
	low, spread := a.bounds(&a.nodes[0], a.linksOf(&a.nodes[0]))
	factor := a.cfg.exploration(a.nodes[0].visits)
	score := func(l *link, visits int32) float64 {
		return (l.q-low)/spread + factor*a.cleanPrior(l.edge)/float64(visits+1)
	}
	limit := score(favourite, favourite.visits)
	visits := l.visits
	for visits > 0 && float64(visits-1) >= floor && score(l, visits-1) < limit {
		visits--
	}
	return visits
}
