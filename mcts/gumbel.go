package mcts

import (
	"math"
	"math/rand/v2"
)

// minLogit keeps an action that the policy rules out comparable, as in Mctx.
const minLogit = -1e9

// plan is how the Gumbel search halves the root's actions. Visits that the root's children had before it, from an earlier search,
// are no part of it. Its actions are those of the root's first evaluation, which are the first edges: the root of such a search asks for
// no further ones, but for those on offer, which the improved policy takes when the plan is done.
type plan struct {
	logits []float64 // noise plus log-prior of each of the root's edges; -Inf for a masked one
	before []int32   // their visits when the plan was made
	visits []int32   // by simulation, how many visits the actions have that it may take
}

// had is the visits that edge e of the root had when the plan was made; ok is false for one that came later.
func (p *plan) had(e int32) (visits int32, ok bool) {
	if int(e) >= len(p.before) {
		return 0, false
	}
	return p.before[e], true
}

// layOut draws the noise and plans simulations.
func (a *arena) layOut(rng *rand.Rand, simulations int) {
	actions := a.rootEdges()
	if len(actions) > 0 {
		actions = actions[:a.blocks[a.nodes[0].block].count]
	}
	p := plan{logits: make([]float64, len(actions)), before: make([]int32, len(actions))}
	greatest, open := 0.0, 0
	for e := range actions {
		prior := *a.prior(int32(e))
		if prior >= 0 {
			open++
		}
		greatest = max(greatest, prior)
	}
	for e, one := range actions {
		if one.link != nil {
			p.before[e] = one.visits
		}
		noise := 0.0
		if scale := a.cfg.Gumbel.Scale; scale > 0 {
			noise = -scale * math.Log(rng.ExpFloat64())
		}
		p.logits[e] = math.Inf(-1)
		if prior := *a.prior(int32(e)); prior >= 0 {
			p.logits[e] = max(minLogit, noise+logit(prior, greatest))
		}
	}
	p.visits = consideredVisits(min(a.cfg.Gumbel.Considered, open), simulations)
	a.plan = p
}

// logit is the logarithm of a prior over the greatest one; where all are 0 they are equal.
func logit(prior, greatest float64) float64 {
	if greatest == 0 {
		return 0
	}
	return math.Log(prior / greatest)
}

// rootEdge is one of the root's actions; its link is nil where no walk took it.
type rootEdge struct {
	edge int32
	*link
}

// rootEdges are the root's actions in order.
func (a *arena) rootEdges() []rootEdge {
	out := make([]rootEdge, 0, a.nodes[0].actions)
	a.eachEdge(0, func(e int32) {
		one := rootEdge{edge: e}
		if a.priors[e] == taken {
			one.link = a.linkOf(e)
		}
		out = append(out, one)
	})
	return out
}

// consideredVisits is, for each simulation, the number of visits of the actions that it may take, under sequential halving of so
// many actions.
func consideredVisits(actions, simulations int) []int32 {
	out := make([]int32, 0, simulations)
	if actions <= 1 {
		for i := range simulations {
			out = append(out, int32(i))
		}
		return out
	}
	visits := make([]int32, actions)
	for _, p := range phases(actions, simulations) {
		for range p.times {
			out = append(out, visits[:p.left]...)
			for i := range p.left {
				visits[i]++
			}
		}
	}
	return out[:simulations]
}

// completion is what completes the Q of a node's children: c * (Q or mix, less low) / spread is added to their logits.
type completion struct{ mix, low, spread, c float64 }

// of is what completed Q adds to a logit.
func (c completion) of(q float64) float64 { return c.c * (q - c.low) / c.spread }

// ofLink is what l's completed Q adds to its logit.
func (c completion) ofLink(l *link) float64 {
	if l == nil || l.visits == 0 {
		return c.of(c.mix)
	}
	return c.of(l.q)
}

// complete is n's completion. mix is the value of children never visited: of the evaluator's value, with weight 1, and of the
// visited children's Q in proportion to their priors, with the weight of their visits. Danihelka et al. 2022, appendix D, eq. 33.
func (a *arena) complete(n *node) completion {
	var visits, most, visited int32
	prior, q := 0.0, 0.0
	low, high := math.Inf(1), math.Inf(-1)
	run := a.linksOf(n)
	for k := range run {
		l := &run[k]
		if l.visits == 0 {
			continue
		}
		p := max(l.prior, math.SmallestNonzeroFloat64)
		visited++
		visits += l.visits
		most = max(most, l.visits)
		prior += p
		q += p * l.q
		low, high = min(low, l.q), max(high, l.q)
	}
	mix := n.raw
	if visits > 0 {
		mix = (n.raw + float64(visits)*(q/prior)) / float64(visits+1)
	}
	out := completion{mix: mix, spread: 1, c: (a.cfg.Gumbel.VisitInit + float64(most)) * a.cfg.Gumbel.ValueScale}
	if !a.cfg.Gumbel.Raw {
		if visited < n.actions || n.offer > 0 {
			low, high = min(low, mix), max(high, mix)
		}
		out.low, out.spread = low, max(high-low, minSpread)
	}
	return out
}

// gumbelRoot is the root's edge that the plan takes next: of those with the visits that it says, the one of the highest noise
// plus logit plus completed Q. Past the plan, and where none has them, it follows the improved policy.
func (a *arena) gumbelRoot() (e, k int32) {
	done := 0
	for _, l := range a.linksOf(&a.nodes[0]) {
		if had, ok := a.plan.had(l.edge); ok {
			done += int(l.visits + l.flight - had)
		}
	}
	if done < len(a.plan.visits) {
		if e, k = a.bestConsidered(a.plan.visits[done]); e != none {
			return e, k
		}
	}
	return a.improved(0)
}

// bestConsidered is the best of the root's edges with so many visits since the plan was made, the first of equals; none where there
// is none.
func (a *arena) bestConsidered(visits int32) (e, k int32) {
	root := &a.nodes[0]
	c := a.complete(root)
	e, k = none, none
	best := math.Inf(-1)
	if visits == 0 {
		for j, logit := range a.plan.logits {
			if a.priors[j] != taken && logit+c.of(c.mix) > best {
				e, best = int32(j), logit+c.of(c.mix)
			}
		}
	}
	for j, l := range a.linksOf(root) {
		if had, ok := a.plan.had(l.edge); !ok || l.visits+l.flight-had != visits {
			continue
		}
		score := a.plan.logits[l.edge] + c.ofLink(&l)
		if score > best || score == best && l.edge < e {
			e, k, best = l.edge, int32(j), score
		}
	}
	return e, k
}

// mostConsidered is the edge that the plan ends with: of those visited most, the best; none before the first visit.
func (a *arena) mostConsidered() int32 {
	var most int32
	for _, l := range a.linksOf(&a.nodes[0]) {
		if had, ok := a.plan.had(l.edge); ok {
			most = max(most, l.visits-had)
		}
	}
	if most == 0 {
		return none
	}
	e, _ := a.bestConsidered(most)
	return e
}

// improved is the edge out of node i whose share of visits falls most short of the improved policy, softmax(logit + completed Q);
// of equals the first, none where there is none to take. It is the k-th link, or one never taken, and then k is none. Danihelka et
// al. 2022, eq. 14.
//
// Children never visited have one completed Q, so their part of the softmax is their part of the priors.
func (a *arena) improved(i int32) (e, k int32) {
	n := &a.nodes[i]
	c := a.complete(n)
	run := a.linksOf(n)
	greatest := math.Inf(-1)
	offer := n.offer
	if n.asked {
		offer = 0
	}
	if n.next != none || offer > 0 {
		greatest = c.of(c.mix)
	}
	var visits int32
	for j := range run {
		if run[j].prior >= 0 {
			greatest = max(greatest, c.ofLink(&run[j]))
		}
		visits += run[j].visits + run[j].flight
	}
	unvisited := math.Exp(c.of(c.mix) - greatest)
	a.scratch = a.scratch[:0]
	sum, rest, left := 0.0, 1.0, false
	for j := range run {
		w, idle := 0.0, run[j].idle()
		if p := run[j].prior; p >= 0 {
			w = p * unvisited
			if run[j].visits > 0 {
				w = p * math.Exp(c.of(run[j].q)-greatest)
			}
			left = left || idle
			if !idle {
				rest -= p
			}
		}
		if !idle {
			sum += w
		}
		a.scratch = append(a.scratch, w)
	}
	if n.next != none || offer > 0 || left {
		sum += max(rest, offer, 0) * unvisited
	}
	e, k = none, none
	best := math.Inf(-1)
	if n.next != none {
		e, best = n.next, n.prior*unvisited/sum
	}
	if offer > 0 && offer*unvisited/sum > best {
		e, best = offered, offer*unvisited/sum
	}
	for j := range run {
		l := &run[j]
		score := a.scratch[j]/sum - float64(l.visits+l.flight)/float64(1+visits)
		if score >= best && (score > best || l.edge < e || e == offered && l.idle()) && l.prior >= 0 {
			e, k, best = l.edge, int32(j), score
		}
	}
	return e, k
}
