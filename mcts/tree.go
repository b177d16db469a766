package mcts

// Stats counts the work of one tree.
type Stats struct {
	// Simulations is the number of walks backed up, the root's first evaluation not counted.
	Simulations int `json:"simulations"`
	// Evaluations is the number of states evaluated, the root counted. The simulations beyond it ended in a terminal state or a
	// dead end that was known already.
	Evaluations int `json:"evaluations"`
}

// Tree is what a search leaves. It is not changed any more, and many goroutines may read it. Nodes are named by their index;
// the root is 0, and a parent's index is lower than its children's.
type Tree[S any] struct {
	pool
	states []S
	keys   []string
	stats  Stats
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
	// Visits counts the simulations that reached it; the root's first evaluation is one.
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

func newTree[S any](state S, cfg Config) *Tree[S] {
	t := &Tree[S]{pool: pool{cfg: cfg}}
	t.nodes = append(t.nodes, node{prior: 1, explore: 1, parent: none, order: none})
	t.keys = append(t.keys, "")
	t.states = append(t.states, state)
	return t
}

// Stats is how much work the tree took.
func (t *Tree[S]) Stats() Stats { return t.stats }

// Len is the number of nodes, those never visited included.
func (t *Tree[S]) Len() int { return len(t.nodes) }

// State is the state at node i.
func (t *Tree[S]) State(i int) S { return t.states[i] }

// Node is a copy of node i.
func (t *Tree[S]) Node(i int) Node {
	n := &t.nodes[i]
	return Node{
		Node: i, Parent: int(n.parent), Depth: int(n.depth), Order: int(n.order),
		Visits: int(n.visits), ValueSum: n.valueSum, Q: n.q, Raw: n.raw,
		Prior: n.prior, Reward: n.reward, Terminal: n.terminal, Masked: n.masked, Action: t.keys[i],
	}
}

// Nodes is a copy of all nodes by index, those never visited included: what the search knew of and left alone is worth seeing.
func (t *Tree[S]) Nodes() []Node {
	out := make([]Node, len(t.nodes))
	for i := range out {
		out[i] = t.Node(i)
	}
	return out
}

// Children are the indices of the children of node i, in the order of their actions.
func (t *Tree[S]) Children(i int) []int {
	lo, hi := t.children(int32(i))
	out := make([]int, 0, hi-lo)
	for c := lo; c < hi; c++ {
		out = append(out, int(c))
	}
	return out
}
