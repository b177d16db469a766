package mcts

import (
	"math"
	"sort"
)

// none is the index of no node, edge, link or block.
const none int32 = -1

// offered stands for the action that a node's evaluator offers.
const offered int32 = -2

// The priors of edges that walks don't look for among those never taken.
const (
	masked = -1.0 // never taken
	taken  = -2.0 // its prior is the link's

	aboveTaken = -0.5 // above both, and below every prior
)

// node holds the numbers of one state that a walk has reached.
type node struct {
	raw      float64 // the evaluator's value
	valueSum float64 // of the returns backed up
	mean     float64 // return from the node on: valueSum / visits; 0 before the first visit
	mass     float64 // of the unmasked actions' priors before they were scaled
	offer    float64 // the prior of the action that its evaluator would give next; 0 for none
	prior    float64 // of next
	visits   int32
	flight   int32 // walks under way that went on from here or end here
	edge     int32 // by which it was first reached
	depth    int32 // of that edge
	order    int32 // when it was evaluated, from 0; -1 before
	block    int32 // the first block of edges
	actions  int32 // edges in all
	next     int32 // the edge never taken of the highest prior, the first of equals
	links    int32 // the first link; count of them follow each other, in room for more
	count    int32
	room     int32
	terminal bool
	full     bool // its evaluator had no further action when asked
	closed   bool // everything below it is known, and it is known here
	asked    bool // a request for further actions is under way
}

// learn folds a return into the mean.
func (n *node) learn(value float64) {
	n.visits++
	n.valueSum += value
	n.mean = n.valueSum / float64(n.visits)
}

// know sets what was learned elsewhere.
func (n *node) know(valueSum float64, visits int32) {
	n.valueSum, n.visits, n.mean = valueSum, visits, 0
	if visits > 0 {
		n.mean = valueSum / float64(visits)
	}
}

// link is an edge that a walk has taken.
type link struct {
	q      float64 // reward + discount * the child's value; 0 before the first visit
	prior  float64 // that selection uses: scaled, with noise at the root; -1 for a masked one
	reward float64
	visits int32
	flight int32 // walks under way over it
	child  int32
	edge   int32
}

// idle tells that l counts as never taken: the walk that took it first was given up, and selection is to be as it was before.
func (l *link) idle() bool { return l.visits+l.flight == 0 }

// block is a run of edges out of one node: those of one evaluation.
type block struct {
	first, count int32
	node         int32
	next         int32 // the node's further actions, if it asked for more
}

// arena is the numbers of one tree. Node 0 is the root.
type arena struct {
	cfg    Config
	plain  bool // that cfg is so
	nodes  []node
	links  []link
	blocks []block
	priors []float64 // of each edge, or why it isn't looked for
	// clean are the priors of the root's edges without noise, where there is noise.
	clean []float64
	// low and high are the range of Q seen, for NormaliseTree.
	low, high float64
	plan      plan
	// factors are exploration's values by visits, as far as they were asked for.
	factors []float64
	scratch []float64
}

// linksOf are those of n, in the order in which they were first taken.
func (a *arena) linksOf(n *node) []link { return a.links[n.links : n.links+n.count] }

// blockOf is the block that edge e is in.
func (a *arena) blockOf(e int32) int32 {
	return int32(sort.Search(len(a.blocks), func(b int) bool { return a.blocks[b].first > e })) - 1
}

// linkOf is the link that edge e became; nil where no walk took it.
func (a *arena) linkOf(e int32) *link {
	run := a.linksOf(&a.nodes[a.blocks[a.blockOf(e)].node])
	for k := range run {
		if run[k].edge == e {
			return &run[k]
		}
	}
	return nil
}

// eachEdge calls f for every edge out of node i, in order.
func (a *arena) eachEdge(i int32, f func(e int32)) {
	for b := a.nodes[i].block; b != none; b = a.blocks[b].next {
		for e, hi := a.blocks[b].first, a.blocks[b].first+a.blocks[b].count; e < hi; e++ {
			f(e)
		}
	}
}

// seek finds the next edge of node i that no walk has taken.
func (a *arena) seek(i int32) {
	n := &a.nodes[i]
	best := aboveTaken
	n.next = none
	for b := n.block; b != none; b = a.blocks[b].next {
		lo := a.blocks[b].first
		for j, p := range a.priors[lo : lo+a.blocks[b].count] {
			if p > best {
				best, n.next = p, lo+int32(j)
			}
		}
	}
	n.prior = best
}

// take adds a link to those of node i, with the prior of its edge, and returns its place among them. Links of one node lie
// together: where their room is full they move to one twice as large, so places are stable and indices aren't.
func (a *arena) take(i int32, l link) int32 {
	n := &a.nodes[i]
	if n.count == n.room {
		room := min(max(2, 2*n.room), n.actions)
		from := a.linksOf(n)
		n.links, n.room = int32(len(a.links)), room
		a.links = append(a.links, from...)
		for range room - n.count {
			a.links = append(a.links, link{})
		}
	}
	l.prior = a.priors[l.edge]
	a.links[n.links+n.count] = l
	a.priors[l.edge] = taken
	n.count++
	if n.next == l.edge {
		a.seek(i)
	}
	return n.count - 1
}

// close marks node i if all that follows it is known: a terminal state, or one whose actions, with none to come, all lead to closed
// nodes.
func (a *arena) close(i int32) {
	n := &a.nodes[i]
	if n.closed || n.order == none || n.next != none || n.offer > 0 || a.cfg.Widen.Factor > 0 && !n.full {
		return
	}
	for k := range n.count {
		if l := &a.links[n.links+k]; l.prior >= 0 && !a.nodes[l.child].closed {
			return
		}
	}
	n.closed = true
}

// exploration is sqrt(N) * (c1 + log((N + c2 + 1) / c2)), by which a child's P/(n+1) is multiplied.
func (a *arena) exploration(visits int32) float64 {
	if int(visits) < len(a.factors) {
		return a.factors[visits]
	}
	return a.explore(visits)
}

// explore makes the table of exploration's values long enough for so many visits, or does without.
func (a *arena) explore(visits int32) float64 {
	if visits >= maxFactors {
		return a.cfg.exploration(visits)
	}
	for n := len(a.factors); n <= int(visits); n++ {
		a.factors = append(a.factors, a.cfg.exploration(int32(n)))
	}
	return a.factors[visits]
}

// maxFactors bounds the table of exploration's values, which takes 8 bytes each.
const maxFactors = 1 << 15

func (c *Config) exploration(visits int32) float64 {
	n := float64(visits)
	return math.Sqrt(n) * (c.CInit + math.Log((n+c.CBase+1)/c.CBase))
}
