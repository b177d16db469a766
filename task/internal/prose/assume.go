package prose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone/task/arith"
)

// assumptions are the words that begin one.
var assumptions = []string{ //nolint:gochecknoglobals // a table
	"assume ", "assuming ", "suppose ", "supposing ", "let ", "let's assume ", "let us assume ", "let's suppose ", "let us suppose ",
	"let's say ", "let us say ", "if we assume ", "if we suppose ", "we assume ", "we suppose ", "say there ", "guess ",
}

// assumes tells whether a line supposes something: "Suppose there are 5 hens".
func assumes(line string) bool {
	line = strings.TrimLeft(line, " \t*->#0123456789.):")
	for _, begin := range assumptions {
		if len(line) > len(begin) && strings.EqualFold(line[:len(begin)], begin) {
			return true
		}
	}
	return false
}

// chain is what stands on assumptions: numbers that nobody gave, and what was derived from them, each with the assumptions (steps) that
// it rests on. An assumption holds once what was derived from it meets something known without it: a number of the question, or a
// result that rests on nothing. A conclusion must not rest on one that is open.
//
//	Suppose there are 5 hens.      5 rests on step 1
//	Their legs are 5*2 = 10.       10 rests on step 1; the question says 10, so step 1 holds
//	#### 5
type chain struct {
	given map[arith.Number]bool
	rests map[arith.Number][]int
	holds map[int]bool
}

func newChain(question string) *chain {
	c := &chain{given: make(map[arith.Number]bool), rests: make(map[arith.Number][]int), holds: make(map[int]bool)}
	quantities(question, func(q Quantity, _ string) { c.given[q.Value] = true })
	return c
}

// assume takes the numbers of a line that are unknown, and that none of its claims comes to, as its assumptions.
func (c *chain) assume(step int, line string, claims []Claim, known *known) {
	quantities(line, func(q Quantity, _ string) {
		if !known.has(q.Value) && !ownResult(claims, q.Value) {
			c.rests[q.Value] = []int{step}
		}
	})
}

// open are the assumptions that a number rests on and that don't hold yet; found tells that the chain knows the number.
func (c *chain) open(n arith.Number) (steps []int, found bool) {
	all, found := c.rests[n]
	if !found {
		all, found = c.rests[n.Neg()]
	}
	for _, s := range all {
		if !c.holds[s] {
			steps = append(steps, s)
		}
	}
	return steps, found
}

// beneath are the open assumptions under a claim, in order.
func (c *chain) beneath(claim Claim, known *known) []int {
	var steps []int
	for _, n := range claim.Operands {
		if known.has(n) {
			continue
		}
		open, _ := c.open(n)
		steps = append(steps, open...)
	}
	slices.Sort(steps)
	return slices.Compact(steps)
}

// derive notes what a claim that rests on assumptions comes to, and tells whether that makes them hold.
func (c *chain) derive(claim Claim, beneath []int, results map[arith.Number]bool) (met bool) {
	if c.given[claim.Right] || results[claim.Right] {
		for _, s := range beneath {
			c.holds[s] = true
		}
		met = true
	}
	c.rests[claim.Right] = beneath
	return met
}

// under says in words what a step rests on.
func under(steps []int) string {
	if len(steps) == 1 {
		return fmt.Sprintf("the assumption of step %d", steps[0]+1)
	}
	return fmt.Sprintf("the assumptions of %d steps, the first of them step %d", len(steps), steps[0]+1)
}
