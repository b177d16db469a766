package mcts

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hone-rl/hone"
)

// Stats counts the work of one tree.
type Stats struct {
	// Simulations is the number of walks backed up, the root's first evaluation not counted.
	Simulations int `json:"simulations"`
	// Evaluations is the number of states evaluated, the root counted. The simulations beyond it ended at a state that was known.
	Evaluations int `json:"evaluations"`
	// Joined is the number of simulations that came over a new edge to a state known by another way, and took its value: each is an
	// evaluation saved.
	Joined int `json:"joined"`
	// Cut is the number of edges that lead to a state known at no greater depth, which was made again so that there is no cycle.
	Cut int `json:"cut"`
	// Collisions is the number of walks given up because another one of the wave waited for the same leaf.
	Collisions int `json:"collisions"`
	// Widenings is the number of times that a node asked for further actions.
	Widenings int `json:"widenings"`
	// Cost is what all evaluations cost, in the unit of [Evaluation.Cost].
	Cost int `json:"cost"`
}

// Tree is what a search has found out; with [Config.Share], it is a graph without cycles. It grows in [Run] and [Grow] alone;
// otherwise many goroutines may read it.
//
// Nodes are named by their index. The root is 0, and each further node stands for one action from its parent's state, tried or
// not; a parent's index is lower than its children's. Where states are shared, several nodes stand for one state: the first by
// which it was reached is the parent of what follows.
type Tree[S any] struct {
	arena
	states  []S           // of the nodes of the arena
	actions [][]Action[S] // of each block
	names   map[string]int32
	stats   Stats
	limit   int
	enough  bool       // nothing more need be found out
	rng     *rand.Rand // until the root's noise is drawn
	walks   []walk     // under way
	keys    keyTable
}

// Node is one node of a tree, for reading and storing.
type Node struct {
	// Node is the index within the tree; Parent is that of the parent, -1 for the root.
	Node   int `json:"node"`
	Parent int `json:"parent"`
	// Depth is the number of actions from the root.
	Depth int `json:"depth"`
	// Order is when it was evaluated, from 0 for the root; -1 for a node that never was.
	Order int `json:"order"`
	// Visits counts the simulations that reached it over this action; the root's first evaluation is one.
	Visits int `json:"visits"`
	// ValueSum is the sum of the returns backed up, from this node on. ValueSum/Visits is V.
	ValueSum float64 `json:"value_sum"`
	// Q is the return of the action into the node: reward + discount * V; 0 for a node never visited.
	Q float64 `json:"q"`
	// Raw is the evaluator's own value; 0 for a node never visited.
	Raw float64 `json:"raw"`
	// Prior is in [0, 1], merged and scaled, without noise; 1 for the root.
	Prior float64 `json:"prior"`
	// Reward is what the action into the node earned.
	Reward   float64 `json:"reward"`
	Terminal bool    `json:"terminal"`
	Masked   bool    `json:"masked"`
	// Action is the key of the action into the node; empty for the root.
	Action string `json:"action"`
}

// New is a tree that holds its root alone, not evaluated. A bad configuration, or a root without the generator that its noise
// needs, is [hone.ErrInvalid].
func New[S any](root Root[S], cfg Config) (*Tree[S], error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.random() && root.Rng == nil {
		return nil, fmt.Errorf("has no generator for its noise: %w", hone.ErrInvalid)
	}
	t := &Tree[S]{
		arena: arena{cfg: cfg, plain: cfg.plain(), low: math.Inf(1), high: math.Inf(-1)},
		names: make(map[string]int32), limit: cfg.Simulations, rng: root.Rng,
	}
	size := t.expected()
	t.nodes, t.states, t.links = make([]node, 0, size), make([]S, 0, size), make([]link, 0, size+size/2)
	t.blocks, t.actions = make([]block, 0, size), make([][]Action[S], 0, size)
	t.addNode(root.State, none, 0)
	if cfg.Share && root.Name != "" {
		t.names[root.Name] = 0
	}
	return t, nil
}

// expected is the number of nodes to make room for at once: those that a tree without a budget will evaluate, up to a bound.
func (t *Tree[S]) expected() int {
	if t.cfg.Budget > 0 {
		return 1
	}
	return min(t.limit+1, maxExpected)
}

// maxExpected bounds the room made for nodes before there are any.
const maxExpected = 1 << 14

// addNode adds a node that edge e leads to.
func (t *Tree[S]) addNode(state S, e, depth int32) int32 {
	t.nodes = append(t.nodes, node{block: none, next: none, edge: e, depth: depth, order: none})
	t.states = append(t.states, state)
	return int32(len(t.nodes) - 1)
}

// newPlan lays out the simulations that are left, or as many as the configuration says.
func (t *Tree[S]) newPlan(rng *rand.Rand) {
	simulations := t.cfg.Gumbel.Plan
	if simulations == 0 {
		simulations = t.limit - t.stats.Simulations
	}
	t.layOut(rng, simulations)
}

// start draws what the root's noise needs, once its actions are known.
func (t *Tree[S]) start() {
	if t.cfg.NoiseFraction > 0 {
		t.addNoise(t.rng)
	}
	if t.cfg.Selection == SelectGumbel {
		t.newPlan(t.rng)
	}
	t.rng = nil
}

// More allows the tree further simulations. A Gumbel search begins a new round with them, on what it knows; rng is for its noise
// and may be nil where there is none. Fewer than 0, or more than fit [Config.Simulations], are [hone.ErrInvalid].
func (t *Tree[S]) More(simulations int, rng *rand.Rand) error {
	if simulations < 0 || t.limit+simulations > maxSimulations {
		return fmt.Errorf("%d simulations beyond %d: want 0 to 1073741824 in all: %w", simulations, t.limit, hone.ErrInvalid)
	}
	t.limit += simulations
	t.enough = false
	if t.nodes[0].order == none || t.cfg.Selection != SelectGumbel {
		return nil
	}
	if t.cfg.Gumbel.Scale > 0 && rng == nil {
		return fmt.Errorf("no generator for the noise of %d more simulations: %w", simulations, hone.ErrInvalid)
	}
	t.newPlan(rng)
	return nil
}

// Stats is how much work the tree took.
func (t *Tree[S]) Stats() Stats { return t.stats }

// Len is the number of nodes, those never visited included.
func (t *Tree[S]) Len() int { return len(t.priors) + 1 }

// State is the state at node i; where it is shared, that of the way by which it was first reached.
func (t *Tree[S]) State(i int) S {
	if at := t.reached(i); at != none {
		return t.states[at]
	}
	return t.action(int32(i) - 1).Next
}

// index is the name outside of a node of the arena. Edge e is node e+1 outside, so that the root, which no edge leads to, is 0.
func (t *Tree[S]) index(node int32) int { return int(t.nodes[node].edge) + 1 }

// reached is the arena's node that node i stands for; none for a state never reached.
func (t *Tree[S]) reached(i int) int32 {
	if i == 0 {
		return 0
	}
	if l := t.linkOf(int32(i) - 1); l != nil {
		return l.child
	}
	return none
}

// action is what was said of edge e.
func (t *Tree[S]) action(e int32) *Action[S] {
	b := t.blockOf(e)
	return &t.actions[b][e-t.blocks[b].first]
}

// Node is a copy of node i.
func (t *Tree[S]) Node(i int) Node {
	if i == 0 {
		return t.rootNode()
	}
	e := int32(i) - 1
	return t.nodeOf(e, t.blockOf(e), t.linkOf(e))
}

func (t *Tree[S]) rootNode() Node {
	n := &t.nodes[0]
	return Node{
		Parent: -1, Order: int(n.order), Visits: int(n.visits), ValueSum: n.valueSum, Raw: n.raw, Prior: 1, Terminal: n.terminal,
	}
}

// nodeOf is edge e, of block b, as a node; l is nil where no walk took it.
func (t *Tree[S]) nodeOf(e, b int32, l *link) Node {
	parent, action := t.blocks[b].node, &t.actions[b][e-t.blocks[b].first]
	out := Node{
		Node: int(e) + 1, Parent: t.index(parent), Depth: int(t.nodes[parent].depth) + 1, Order: -1,
		Prior: max(t.priors[e], 0), Reward: action.Reward, Masked: t.priors[e] == masked, Action: action.Key,
	}
	if l != nil {
		out.Visits, out.Q, out.Prior, out.Masked = int(l.visits), l.q, max(l.prior, 0), l.prior < 0
		n := &t.nodes[l.child]
		out.Raw, out.Terminal, out.ValueSum = n.raw, n.terminal, n.valueSum
		if n.edge == e {
			out.Order = int(n.order)
		}
		if l.visits != n.visits {
			out.ValueSum = n.mean * float64(l.visits)
		}
	}
	if int(e) < len(t.clean) {
		out.Prior = max(t.clean[e], 0)
	}
	return out
}

// Nodes is a copy of all nodes by index, those never visited included: what the search knew of and left alone is worth seeing.
func (t *Tree[S]) Nodes() []Node {
	links := make([]*link, len(t.priors))
	for i := range t.nodes {
		run := t.linksOf(&t.nodes[i])
		for k := range run {
			links[run[k].edge] = &run[k]
		}
	}
	out := make([]Node, 1, t.Len())
	out[0] = t.rootNode()
	for b := range t.blocks {
		for e, hi := t.blocks[b].first, t.blocks[b].first+t.blocks[b].count; e < hi; e++ {
			out = append(out, t.nodeOf(e, int32(b), links[e]))
		}
	}
	return out
}

// Children are the indices of the children of node i, in the order of their actions. Nodes that stand for one state have the same.
func (t *Tree[S]) Children(i int) []int {
	at := t.reached(i)
	if at == none {
		return nil
	}
	out := make([]int, 0, t.nodes[at].actions)
	t.eachEdge(at, func(e int32) { out = append(out, int(e)+1) })
	return out
}

// UnderWay is the sum of all virtual losses, over nodes and actions; 0 whenever the tree isn't growing.
func (t *Tree[S]) UnderWay() int {
	sum := 0
	for i := range t.nodes {
		sum += int(t.nodes[i].flight)
		for _, l := range t.linksOf(&t.nodes[i]) {
			sum += int(l.flight)
		}
	}
	return sum
}
