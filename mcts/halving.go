package mcts

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// Halving is what a Gumbel search's plan made of one of the root's actions.
type Halving struct {
	// Noise is what was drawn for it, Logit the logarithm of its prior over the greatest one, and Completed what its completed Q adds as
	// the tree stands. Score is their sum: of the actions that are left the plan takes the one with the most.
	Noise     float64 `json:"noise"`
	Logit     float64 `json:"logit"`
	Completed float64 `json:"completed"`
	Score     float64 `json:"score"`
	// Round is the last round of the halving that it was taken in, from 1, and 0 if the plan never considered it. Rounds is the last of
	// all: what was taken in it was left when the halving ended.
	Round  int `json:"round"`
	Rounds int `json:"rounds"`
}

// phase is a run of the halving in which so many actions are left, and each is taken so many times.
type phase struct{ left, times int }

// phases are those of sequential halving of so many actions within so many simulations, the last of which may end it early. Karnin et al.
// 2013 (PMLR 28:1238); Danihelka et al. 2022, algorithm 2.
func phases(actions, simulations int) []phase {
	if actions <= 1 {
		return []phase{{actions, simulations}}
	}
	rounds := bits.Len(uint(actions - 1)) // log2 of actions, rounded up
	var out []phase
	for left, done := actions, 0; done < simulations; left = max(2, left/2) {
		p := phase{left, max(1, simulations/(rounds*left))}
		out = append(out, p)
		done += p.left * p.times
	}
	return out
}

// roundOf is the last round that an action with so many visits was taken in, and the last of all. Phases with equally many actions left
// are one round.
func roundOf(plan []phase, visits int) (round, rounds int) {
	reached := 0
	for i, p := range plan {
		if i == 0 || p.left < plan[i-1].left {
			rounds++
		}
		if visits > reached {
			round = rounds
		}
		reached += p.times
	}
	return round, rounds
}

// family is an arena of one node of a stored tree and its children, as far as selection among them goes.
func family(nodes []Node, at int, children []int, cfg Config) *arena {
	n := &nodes[at]
	a := &arena{cfg: cfg, blocks: []block{{count: int32(len(children)), next: none}}}
	for e, c := range children {
		child, prior := &nodes[c], nodes[c].Prior
		if child.Masked {
			prior = masked
		}
		a.priors = append(a.priors, prior)
		if child.Visits > 0 {
			a.links = append(a.links, link{q: child.Q, prior: prior, visits: int32(child.Visits), edge: int32(e)})
			a.priors[e] = taken
		}
	}
	a.nodes = []node{{raw: n.Raw, actions: int32(len(children)), count: int32(len(a.links)), room: int32(len(a.links))}}
	a.nodes[0].know(n.ValueSum, int32(n.Visits))
	a.seek(0)
	return a
}

// halve says what the plan of a Gumbel search made of the root's children; nil where it can't be known again: noise without the generator,
// and actions that were offered one by one, of which the plan held the first alone.
func halve(nodes []Node, children []int, cfg Config, rng *rand.Rand) []*Halving {
	if cfg.Selection != SelectGumbel || cfg.Offers || cfg.random() && rng == nil {
		return nil
	}
	a := family(nodes, 0, children, cfg)
	if cfg.NoiseFraction > 0 {
		a.addNoise(rng)
	}
	simulations := cfg.Gumbel.Plan
	if simulations == 0 {
		simulations = cfg.Simulations
	}
	a.layOut(rng, 0)
	greatest, open := 0.0, 0
	for e := range children {
		if p := *a.prior(int32(e)); p >= 0 {
			greatest = max(greatest, p)
			open++
		}
	}
	plan := phases(min(cfg.Gumbel.Considered, open), simulations)
	c := a.complete(&a.nodes[0])
	out := make([]*Halving, len(children))
	for e, child := range children {
		p := *a.prior(int32(e))
		if p < 0 {
			continue
		}
		var l *link
		if a.priors[e] == taken {
			l = a.linkOf(int32(e))
		}
		h := &Halving{Logit: max(minLogit, logit(p, greatest)), Completed: c.ofLink(l)}
		h.Noise = a.plan.logits[e] - h.Logit
		h.Score = a.plan.logits[e] + h.Completed
		h.Round, h.Rounds = roundOf(plan, nodes[child].Visits)
		out[e] = h
	}
	return out
}

// explainImproved fills in the terms of a Gumbel search's selection below the root: the share that the improved policy gives a child, and
// less the share of visits that it has.
func explainImproved(nodes []Node, at int, children []int, cfg Config, out []Terms) {
	a := family(nodes, at, children, cfg)
	c := a.complete(&a.nodes[0])
	greatest, sum, visits := math.Inf(-1), 0.0, 0
	completed := make([]float64, len(children))
	for e, child := range children {
		completed[e] = c.of(c.mix)
		if n := &nodes[child]; n.Visits > 0 {
			completed[e] = c.of(n.Q)
			visits += n.Visits
		}
		if !nodes[child].Masked {
			greatest = max(greatest, completed[e])
		}
	}
	for e, child := range children {
		if !nodes[child].Masked {
			out[child].Value = nodes[child].Prior * math.Exp(completed[e]-greatest)
			sum += out[child].Value
		}
	}
	for _, child := range children {
		if !nodes[child].Masked && sum > 0 {
			out[child].Value /= sum
			out[child].Explore = -float64(nodes[child].Visits) / float64(1+visits)
		}
	}
}
