package mcts

import (
	"fmt"
	"math"
	"math/bits"

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
	fresh := t.merge(i, actions)
	if len(fresh) > 0 {
		t.addBlock(i, fresh)
	}
	t.scale(i)
}

// addBlock adds edges for actions, their priors not scaled.
func (t *Tree[S]) addBlock(i int32, actions []Action[S]) {
	n, index := &t.nodes[i], int32(len(t.blocks))
	last := &n.block
	for *last != none {
		last = &t.blocks[*last].next
	}
	*last = index
	n.actions += int32(len(actions))
	t.blocks = append(t.blocks, block{first: int32(len(t.priors)), count: int32(len(actions)), node: i, next: none})
	t.actions = append(t.actions, actions)
	if need := len(t.priors) + len(actions); need > cap(t.priors) {
		t.priors = append(make([]float64, 0, max(2*need, t.expected()*len(actions))), t.priors...)
	}
	for j := range actions {
		p := actions[j].Prior
		if actions[j].Masked {
			p = masked
		}
		t.priors = append(t.priors, p)
	}
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
		// The difference of a number with itself is 0 unless it isn't finite.
		if a.Prior-a.Prior == 0 && a.Reward-a.Reward == 0 && a.Prior >= 0 {
			continue
		}
		if err := finite("prior", a.Prior); err != nil {
			return fmt.Errorf("action %q: %w", a.Key, err)
		}
		if err := finite("reward", a.Reward); err != nil {
			return fmt.Errorf("action %q: %w", a.Key, err)
		}
		return fmt.Errorf("action %q: prior is %v, want at least 0: %w", a.Key, a.Prior, hone.ErrInvalid)
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

// keyTable finds equal keys. Its slots belong to the present use where their stamp says so, so that it is never cleared.
type keyTable struct {
	slots []keySlot
	stamp uint32
}

type keySlot struct {
	stamp, hash uint32
	index       int32
}

// reset forgets all keys and makes room for count.
func (k *keyTable) reset(count int) {
	size := 16
	for size < 2*count {
		size *= 2
	}
	if size > len(k.slots) || k.stamp == math.MaxUint32 {
		k.slots, k.stamp = make([]keySlot, size), 0
	}
	k.stamp++
}

// add enters a key under its index, unless an equal one is there; then it returns that one's index. keyOf is the key of an index.
func (k *keyTable) add(index int32, key string, keyOf func(int32) string) (at int32, known bool) {
	h := hashKey(key)
	mask := uint32(len(k.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &k.slots[i]
		if s.stamp != k.stamp {
			*s = keySlot{stamp: k.stamp, index: index, hash: h}
			return index, false
		}
		if s.hash == h && keyOf(s.index) == key {
			return s.index, true
		}
	}
}

// hashKey mixes eight bytes at a time: keys are short, and only their spread over slots matters.
func hashKey(s string) uint32 {
	const prime = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	h := uint64(len(s)) * prime
	for ; len(s) >= 8; s = s[8:] {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = bits.RotateLeft64((h^word)*prime, 29)
	}
	word := uint64(0)
	for i := range len(s) {
		word = word<<8 | uint64(s[i])
	}
	h = (h ^ word) * prime
	return uint32(h >> 32)
}
