package mcts

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Snapshot is a tree at rest, in a form that any codec can keep: every number is finite, and S must be one that the codec knows.
// A tree restored from it goes on as the one that it was taken from. Its slices may be the tree's own and must not be changed.
type Snapshot[S any] struct {
	Config Config `json:"config"`
	Limit  int    `json:"limit"`
	Stats  Stats  `json:"stats"`
	// Enough tells that the tree is left alone.
	Enough bool `json:"enough"`
	// Nodes are the states reached, the root first; Blocks the actions known, of one evaluation each.
	Nodes  []SnapshotNode[S]  `json:"nodes"`
	Blocks []SnapshotBlock[S] `json:"blocks"`
	// Names are the nodes of named states.
	Names map[string]int32 `json:"names,omitempty"`
	// Clean are the priors of the root's actions without noise, where there is noise; -1 for a masked one.
	Clean []float64 `json:"clean,omitempty"`
	// Low and High are the range of Q seen.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Logits, Before and Plan are those of a Gumbel search: noise plus log-prior of each of the root's actions, their visits when the
	// plan was made, and by simulation the visits of the actions that may be taken.
	Logits []float64 `json:"logits,omitempty"`
	Before []int32   `json:"before,omitempty"`
	Plan   []int32   `json:"plan,omitempty"`
}

// SnapshotNode is one state. Visits is 0 and Order -1 where it was never evaluated.
type SnapshotNode[S any] struct {
	State    S              `json:"state"`
	Raw      float64        `json:"raw"`
	ValueSum float64        `json:"value_sum"`
	Mass     float64        `json:"mass"`
	Visits   int32          `json:"visits"`
	Edge     int32          `json:"edge"`
	Depth    int32          `json:"depth"`
	Order    int32          `json:"order"`
	Terminal bool           `json:"terminal"`
	Full     bool           `json:"full"`
	Closed   bool           `json:"closed,omitempty"`
	Offer    float64        `json:"offer,omitempty"`
	Links    []SnapshotLink `json:"links,omitempty"`
}

// SnapshotLink is one action taken: the edge, counted over all blocks, and the node that it leads to.
type SnapshotLink struct {
	Edge   int32   `json:"edge"`
	Child  int32   `json:"child"`
	Visits int32   `json:"visits"`
	Q      float64 `json:"q"`
	Prior  float64 `json:"prior"`
}

// SnapshotBlock is the actions of one evaluation of a node, merged, with their priors as the search uses them: -1 for a masked one and
// -2 for one whose prior its link has.
type SnapshotBlock[S any] struct {
	Node    int32       `json:"node"`
	Actions []Action[S] `json:"actions"`
	Priors  []float64   `json:"priors"`
}

// Snapshot is the tree as it is. One that never grew has nothing to keep and is [hone.ErrInvalid], and so is one that is growing.
func (t *Tree[S]) Snapshot() (Snapshot[S], error) {
	if t.nodes[0].order == none || len(t.walks) > 0 {
		return Snapshot[S]{}, fmt.Errorf("snapshot of a tree with no node evaluated, or with walks under way: %w", hone.ErrInvalid)
	}
	out := Snapshot[S]{
		Config: t.cfg, Limit: t.limit, Stats: t.stats, Enough: t.enough, Names: t.names, Clean: t.clean, Low: t.low, High: t.high,
		Before: t.plan.before, Plan: t.plan.visits,
	}
	for _, x := range t.plan.logits {
		out.Logits = append(out.Logits, max(x, minLogit)) // a masked action's is found again by its prior
	}
	for i := range t.nodes {
		n := &t.nodes[i]
		keep := SnapshotNode[S]{
			State: t.states[i], Raw: n.raw, ValueSum: n.valueSum, Mass: n.mass, Visits: n.visits,
			Edge: n.edge, Depth: n.depth, Order: n.order, Terminal: n.terminal, Full: n.full,
			Closed: n.closed, Offer: n.offer,
		}
		for _, l := range t.linksOf(n) {
			keep.Links = append(keep.Links, SnapshotLink{Edge: l.edge, Child: l.child, Visits: l.visits, Q: l.q, Prior: l.prior})
		}
		out.Nodes = append(out.Nodes, keep)
	}
	for i, b := range t.blocks {
		out.Blocks = append(out.Blocks, SnapshotBlock[S]{
			Node: b.node, Actions: t.actions[i], Priors: t.priors[b.first : b.first+b.count : b.first+b.count],
		})
	}
	return out, nil
}

// Restore is the tree of a snapshot. One that no tree could have left is [hone.ErrInvalid] or [hone.ErrNonFinite], naming its first
// fault.
func Restore[S any](s Snapshot[S]) (*Tree[S], error) {
	t, err := restore(s)
	if err != nil {
		return nil, fmt.Errorf("restore a tree: %w", err)
	}
	return t, nil
}

func restore[S any](s Snapshot[S]) (*Tree[S], error) {
	if err := s.Config.Validate(); err != nil {
		return nil, err
	}
	if len(s.Nodes) == 0 || s.Nodes[0].Order < 0 || s.Limit < 0 || s.Limit > maxSimulations || s.Stats.Simulations < 0 {
		return nil, fmt.Errorf("%d nodes, %d of %d simulations: want a root that was evaluated: %w",
			len(s.Nodes), s.Stats.Simulations, s.Limit, hone.ErrInvalid)
	}
	if err := errors.Join(finite("low", s.Low), finite("high", s.High)); err != nil {
		return nil, err
	}
	t := &Tree[S]{
		arena: arena{cfg: s.Config, plain: s.Config.plain(), low: s.Low, high: s.High}, names: make(map[string]int32, len(s.Names)),
		limit: s.Limit, stats: s.Stats, enough: s.Enough,
	}
	for i := range s.Nodes {
		if err := t.restoreNode(&s.Nodes[i]); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	for i := range s.Blocks {
		if err := t.restoreBlock(&s.Blocks[i]); err != nil {
			return nil, fmt.Errorf("block %d: %w", i, err)
		}
	}
	for i := range s.Nodes {
		if err := t.restoreLinks(int32(i), s.Nodes[i].Links); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	for i := range t.nodes {
		if err := t.checkNode(int32(i)); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		t.seek(int32(i))
	}
	for name, i := range s.Names {
		if i < 0 || int(i) >= len(t.nodes) {
			return nil, fmt.Errorf("state %q is node %d of %d: %w", name, i, len(t.nodes), hone.ErrInvalid)
		}
		t.names[name] = i
	}
	if err := t.restorePlan(s); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tree[S]) restoreNode(n *SnapshotNode[S]) error {
	err := errors.Join(finite("raw", n.Raw), finite("value_sum", n.ValueSum), finite("mass", n.Mass), finite("offer", n.Offer))
	if err != nil {
		return err
	}
	root := len(t.nodes) == 0
	placed := n.Edge >= 0 && n.Depth > 0
	if root {
		placed = n.Edge == none && n.Depth == 0
	}
	if n.Visits < 0 || n.Visits > maxSimulations || n.Order < none || n.Mass < 0 || n.Offer < 0 || !placed {
		return fmt.Errorf("visits %d, order %d, mass %v, offer %v, edge %d, depth %d can't be: %w",
			n.Visits, n.Order, n.Mass, n.Offer, n.Edge, n.Depth, hone.ErrInvalid)
	}
	t.nodes = append(t.nodes, node{
		raw: n.Raw, mass: n.Mass, offer: n.Offer, closed: n.Closed, terminal: n.Terminal, full: n.Full,
		edge: n.Edge, depth: n.Depth, order: n.Order, block: none, next: none,
	})
	t.nodes[len(t.nodes)-1].know(n.ValueSum, n.Visits)
	t.states = append(t.states, n.State)
	return nil
}

func (t *Tree[S]) restoreBlock(b *SnapshotBlock[S]) error {
	if b.Node < 0 || int(b.Node) >= len(t.nodes) || len(b.Actions) == 0 || len(b.Actions) != len(b.Priors) {
		return fmt.Errorf("node %d of %d, %d actions, %d priors can't be: %w",
			b.Node, len(t.nodes), len(b.Actions), len(b.Priors), hone.ErrInvalid)
	}
	if n := &t.nodes[b.Node]; n.order == none || n.terminal {
		return fmt.Errorf("node %d has actions but was not evaluated or is terminal: %w", b.Node, hone.ErrInvalid)
	}
	for i := range b.Actions {
		if err := finite("reward", b.Actions[i].Reward); err != nil {
			return fmt.Errorf("action %d: %w", i, err)
		}
		if p := b.Priors[i]; !t.isPrior(p) && p != masked && p != taken {
			return fmt.Errorf("action %d: prior is %v, want a number in [0, 1], -1 or -2: %w", i, p, hone.ErrInvalid)
		}
	}
	at := len(t.priors)
	t.addBlock(b.Node, b.Actions)
	copy(t.priors[at:], b.Priors)
	return nil
}

// isPrior tells that p may be a prior: beside offers they are as they were given.
func (a *arena) isPrior(p float64) bool {
	return p >= 0 && (p <= 1 || a.cfg.Offers && p <= math.MaxFloat64)
}

func (t *Tree[S]) restoreLinks(i int32, links []SnapshotLink) error {
	for _, l := range links {
		if err := finite("q", l.Q); err != nil {
			return err
		}
		if l.Edge < 0 || int(l.Edge) >= len(t.priors) || t.priors[l.Edge] != taken || t.blocks[t.blockOf(l.Edge)].node != i {
			return fmt.Errorf("edge %d is not one of its own that was taken once: %w", l.Edge, hone.ErrInvalid)
		}
		if l.Child <= 0 || int(l.Child) >= len(t.nodes) || t.nodes[l.Child].depth <= t.nodes[i].depth {
			return fmt.Errorf("edge %d leads to node %d, which is no deeper node: %w", l.Edge, l.Child, hone.ErrInvalid)
		}
		if l.Visits < 0 || l.Visits > t.nodes[i].visits || !t.isPrior(l.Prior) && l.Prior != masked {
			return fmt.Errorf("edge %d has %d visits and prior %v: %w", l.Edge, l.Visits, l.Prior, hone.ErrInvalid)
		}
		b := t.blockOf(l.Edge)
		reward := t.actions[b][l.Edge-t.blocks[b].first].Reward
		t.priors[l.Edge] = l.Prior
		t.take(i, link{q: l.Q, reward: reward, visits: l.Visits, child: l.Child, edge: l.Edge})
	}
	return nil
}

// checkNode tells what is wrong with node i once all links are there.
func (t *Tree[S]) checkNode(i int32) error {
	n, sum := &t.nodes[i], 0
	links := int32(0)
	t.eachEdge(i, func(e int32) {
		if t.priors[e] == taken {
			links++
		}
	})
	for _, l := range t.linksOf(n) {
		sum += int(l.visits)
	}
	if links != n.count || sum > int(n.visits) {
		return fmt.Errorf("%d links for %d actions taken, with %d of %d visits: %w", n.count, links, sum, n.visits, hone.ErrInvalid)
	}
	if i == 0 {
		return nil
	}
	if int(n.edge) >= len(t.priors) || n.edge < 0 || t.reached(int(n.edge)+1) != i {
		return fmt.Errorf("edge %d doesn't lead to it: %w", n.edge, hone.ErrInvalid)
	}
	return nil
}

// restorePlan restores what belongs to the root.
func (t *Tree[S]) restorePlan(s Snapshot[S]) error {
	root := &t.nodes[0]
	gumbel := 0
	if t.cfg.Selection == SelectGumbel {
		gumbel = int(root.actions)
	}
	if gumbel > 0 && t.cfg.Offers {
		gumbel = int(t.blocks[root.block].count)
	}
	if len(s.Logits) != gumbel || len(s.Before) != gumbel || len(s.Clean) != 0 && len(s.Clean) != int(root.actions) {
		return fmt.Errorf("%d logits, %d visits before, %d clean priors for the root's %d actions: %w",
			len(s.Logits), len(s.Before), len(s.Clean), root.actions, hone.ErrInvalid)
	}
	if gumbel+len(s.Clean) > 0 && (t.blocks[root.block].first != 0 || t.blocks[root.block].next != none && !t.cfg.Offers) {
		return fmt.Errorf("the root's actions are not the first, or not of one block: %w", hone.ErrInvalid)
	}
	for e, one := range t.rootEdges() {
		if len(s.Clean) > 0 && !(s.Clean[e] >= 0 && s.Clean[e] <= 1) && s.Clean[e] != masked {
			return fmt.Errorf("clean prior %d is %v: %w", e, s.Clean[e], hone.ErrInvalid)
		}
		if e >= gumbel {
			break
		}
		if err := finite("logit", s.Logits[e]); err != nil {
			return err
		}
		if s.Before[e] < 0 || s.Before[e] > 0 && (one.link == nil || s.Before[e] > one.visits) {
			return fmt.Errorf("action %d had %d visits before: %w", e, s.Before[e], hone.ErrInvalid)
		}
		logit := s.Logits[e]
		if *t.prior(int32(e)) < 0 {
			logit = math.Inf(-1)
		}
		t.plan.logits = append(t.plan.logits, logit)
	}
	t.clean = s.Clean
	t.plan.before, t.plan.visits = s.Before, s.Plan
	return nil
}
