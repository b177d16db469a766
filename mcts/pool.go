package mcts

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// none is the index of no node: the root's parent, or the child of a node that has none to take.
const none int32 = -1

// node holds the numbers of one state of the tree, and of the action that led to it.
type node struct {
	prior    float64 // as evaluated, merged and scaled
	explore  float64 // the prior that selection uses: with noise at the root's children
	reward   float64 // earned on the way in from the parent
	raw      float64 // the evaluator's value
	valueSum float64 // of the returns backed up
	q        float64 // reward + discount * the mean of those; 0 before the first visit
	visits   int32
	parent   int32
	first    int32 // index of the first child; count children follow each other
	count    int32
	depth    int32
	order    int32 // when it was evaluated, from 0; -1 before
	terminal bool
	masked   bool
}

// value is the mean return from the node on, without the reward of getting there; 0 before the first visit.
func (n *node) value() float64 {
	if n.visits == 0 {
		return 0
	}
	return n.valueSum / float64(n.visits)
}

// pool is the nodes of one tree; index 0 is the root.
type pool struct {
	cfg   Config
	nodes []node
}

// children is the half-open range of the children of node i.
func (p *pool) children(i int32) (lo, hi int32) {
	n := &p.nodes[i]
	return n.first, n.first + n.count
}

// leaf walks down from the root by the selection rule, to a node that was never evaluated or that can't be left.
func (p *pool) leaf() int32 {
	i := int32(0)
	for {
		next := p.selectChild(i)
		if next == none {
			return i
		}
		i = next
	}
}

// backup folds value, the return from node i on, into node i and all its ancestors.
func (p *pool) backup(i int32, value float64) {
	for ; i != none; i = p.nodes[i].parent {
		n := &p.nodes[i]
		n.valueSum += value
		n.visits++
		n.q = n.reward + p.cfg.Discount*n.value()
		value = n.reward + p.cfg.Discount*value
	}
}

// finite wraps [hone.ErrNonFinite] around a number that isn't finite.
func finite(what string, x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%s is %v: %w", what, x, hone.ErrNonFinite)
	}
	return nil
}
