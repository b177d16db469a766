package mcts

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// expand records what the evaluator said of node i and gives the node its edges.
func (t *Tree[S]) expand(i int32, e *Evaluation[S]) {
	n := &t.nodes[i]
	n.raw, n.terminal, n.full = e.Value, e.Terminal, e.Terminal
	if t.cfg.Offers && !e.Terminal {
		n.offer = e.Offer
	}
	n.order = int32(t.stats.Evaluations)
	t.stats.Evaluations++
	t.stats.Cost += e.Cost
	t.enough = t.enough || e.Enough
	if !e.Terminal {
		t.addActions(i, e.Actions)
	}
}

// widen gives node i the actions that it doesn't have yet. Of the known ones it raises the priors.
func (t *Tree[S]) widen(i int32, e *Evaluation[S]) {
	t.stats.Widenings++
	t.stats.Cost += e.Cost
	t.enough = t.enough || e.Enough
	before := t.nodes[i].actions
	t.addActions(i, e.Actions)
	t.nodes[i].full = t.nodes[i].actions == before
	if t.cfg.Offers {
		t.nodes[i].offer = e.Offer
	}
}

// wantsActions tells that node i should have more actions for its visits.
func (a *arena) wantsActions(n *node, i int32) bool {
	return a.mayAsk(n, i) && float64(n.actions) < a.cfg.Widen.Factor*math.Pow(float64(n.visits), a.cfg.Widen.Exponent)
}

// mayAsk tells that node i may ask for further actions.
func (a *arena) mayAsk(n *node, i int32) bool {
	if a.cfg.Offers {
		return n.offer > 0 && !n.asked
	}
	if a.cfg.Widen.Factor == 0 || n.full || n.asked {
		return false
	}
	return i != 0 || a.cfg.NoiseFraction == 0 && a.cfg.Selection != SelectGumbel
}

// addActions gives node i a block of those actions that it doesn't have, and scales the priors of its unmasked ones to sum to 1.
func (t *Tree[S]) addActions(i int32, actions []Action[S]) {
	if len(actions) == 0 {
		return
	}
	if t.nodes[i].actions == 0 && !t.cfg.Offers {
		if mass, open, ok := survey(&t.keys, actions); ok {
			n, first := &t.nodes[i], int32(len(t.priors))
			n.mass = mass
			scaled(n, t.addBlock(i, actions), actions, first, open)
			return
		}
	}
	if fresh := t.merge(i, actions); len(fresh) > 0 {
		given(t.addBlock(i, fresh), fresh)
	}
	t.scale(i)
}

// given fills in the priors that actions were given.
func given[S any](priors []float64, actions []Action[S]) {
	for j := range priors {
		priors[j] = actions[j].Prior
		if actions[j].Masked {
			priors[j] = masked
		}
	}
}

// scaled fills in the priors of node n, as scale makes them of those that actions were given. The node has no others; so many are open,
// and first is the edge of the first.
func scaled[S any](n *node, priors []float64, actions []Action[S], first int32, open int) {
	add, sum := 0.0, n.mass
	if sum == 0 { // equal ones then
		add, sum = 1, float64(open)
	}
	best, next := aboveTaken, none
	for j := range priors {
		a := &actions[j]
		if a.Masked {
			priors[j] = masked
			continue
		}
		p := (a.Prior + add) / sum
		priors[j] = p
		if p > best {
			best, next = p, first+int32(j)
		}
	}
	n.prior, n.next = best, next
}

// addBlock adds edges for actions, and returns where their priors go.
func (t *Tree[S]) addBlock(i int32, actions []Action[S]) []float64 {
	n, index := &t.nodes[i], int32(len(t.blocks))
	last := &n.block
	for *last != none {
		last = &t.blocks[*last].next
	}
	*last = index
	n.actions += int32(len(actions))
	at := len(t.priors)
	t.blocks = append(t.blocks, block{first: int32(at), count: int32(len(actions)), node: i, next: none})
	t.actions = append(t.actions, actions)
	if need := at + len(actions); need > cap(t.priors) {
		t.priors = append(make([]float64, 0, max(2*need, t.expected()*len(actions))), t.priors...)
	}
	t.priors = t.priors[:at+len(actions)]
	return t.priors[at:]
}

// prior is where that of edge e is kept.
func (a *arena) prior(e int32) *float64 {
	if p := &a.priors[e]; *p != taken {
		return p
	}
	return &a.linkOf(e).prior
}

// merge makes one action of those with equal keys. Those that node i has already raise its own priors, which it leaves unscaled.
// What it returns are the others; it is the given slice where nothing was merged.
func (t *Tree[S]) merge(i int32, actions []Action[S]) []Action[S] {
	n := &t.nodes[i]
	t.keys.reset(len(actions) + int(n.actions))
	var old []int32
	fresh, owned, count := actions, false, 0
	key := func(j int32) string {
		if int(j) < len(old) {
			return t.action(old[j]).Key
		}
		return fresh[int(j)-len(old)].Key
	}
	t.eachEdge(i, func(e int32) {
		if p := t.prior(e); *p >= 0 && !t.cfg.Offers {
			*p *= n.mass // the priors that were given
		}
		old = append(old, e)
		t.keys.add(int32(len(old)-1), t.action(e).Key, key)
	})
	for j := range actions {
		a := &actions[j]
		at, known := t.keys.add(int32(len(old)+count), a.Key, key)
		if !known {
			if owned {
				fresh[count] = *a
			}
			count++
			continue
		}
		if !owned {
			fresh, owned = append([]Action[S](nil), actions...), true
		}
		if k := int(at) - len(old); k >= 0 {
			fresh[k].Prior += a.Prior
			fresh[k].Masked = fresh[k].Masked || a.Masked
			continue
		}
		switch p := t.prior(old[at]); {
		case a.Masked:
			*p = masked
		case *p >= 0:
			*p += a.Prior
		}
	}
	return fresh[:count:count]
}

// scale makes the priors of node i's unmasked edges, as given, sum to 1, and finds the edge to take next. Beside offers they are
// probabilities and stay as they are.
func (a *arena) scale(i int32) {
	n := &a.nodes[i]
	run, sum, open := a.linksOf(n), 0.0, 0
	for b := n.block; b != none; b = a.blocks[b].next {
		for _, p := range a.priors[a.blocks[b].first : a.blocks[b].first+a.blocks[b].count] {
			if p >= 0 {
				sum += p
				open++
			}
		}
	}
	for k := range run {
		if p := run[k].prior; p >= 0 {
			sum += p
			open++
		}
	}
	n.mass = sum
	if a.cfg.Offers {
		a.seek(i)
		return
	}
	add := 0.0
	if sum == 0 { // equal ones then
		add, sum = 1, float64(open)
	}
	best, next := aboveTaken, none // as seek finds them
	for b := n.block; b != none; b = a.blocks[b].next {
		lo := a.blocks[b].first
		priors := a.priors[lo : lo+a.blocks[b].count]
		for j, p := range priors {
			if p >= 0 {
				p = (p + add) / sum
				priors[j] = p
				if p > best {
					best, next = p, lo+int32(j)
				}
			}
		}
	}
	for k := range run {
		if p := run[k].prior; p >= 0 {
			run[k].prior = (p + add) / sum
		}
	}
	n.prior, n.next = best, next
}

// check tells what is wrong with an evaluation.
func (e *Evaluation[S]) check() error {
	if err := finite("value", e.Value); err != nil {
		return err
	}
	if e.Offer != 0 {
		if err := finite("offer", e.Offer); err != nil {
			return err
		}
		if e.Offer < 0 {
			return fmt.Errorf("offer is %v, want at least 0: %w", e.Offer, hone.ErrInvalid)
		}
	}
	if e.Cost < 0 {
		return fmt.Errorf("cost is %d, want at least 0: %w", e.Cost, hone.ErrInvalid)
	}
	if e.Terminal {
		return nil
	}
	for i := range e.Actions {
		a := &e.Actions[i]
		// Without their signs the bits of finite numbers are less than those of infinity; with one they are more.
		if math.Float64bits(a.Prior) < infinity && math.Float64bits(a.Reward)&^(1<<63) < infinity {
			continue
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("action %q: %w", a.Key, err)
		}
	}
	return nil
}

// infinity is its bits.
const infinity = 0x7ff << 52

// check tells what is wrong with an action.
func (a *Action[S]) check() error {
	if err := errors.Join(finite("prior", a.Prior), finite("reward", a.Reward)); err != nil {
		return err
	}
	if a.Prior < 0 {
		return fmt.Errorf("prior is %v, want at least 0: %w", a.Prior, hone.ErrInvalid)
	}
	return nil
}

// finite wraps [hone.ErrNonFinite] around a number that isn't finite.
func finite(what string, x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%s is %v: %w", what, x, hone.ErrNonFinite)
	}
	return nil
}
