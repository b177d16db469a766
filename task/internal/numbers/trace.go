package numbers

import (
	"slices"

	"github.com/hone-rl/hone/task/arith"
)

// term is a number left together with how it was made from the puzzle's numbers.
type term struct {
	value arith.Number
	expr  arith.Expr
}

// leaves are the state's numbers, made of nothing but themselves.
func leaves(s *State) []term {
	terms := make([]term, s.count)
	for i, n := range s.Numbers() {
		terms[i] = term{value: n, expr: arith.Leaf(n)}
	}
	return terms
}

// join is the terms with items i and j replaced by i op j, which comes last; ok is false where that has no value.
func join(terms []term, i int, op arith.Op, j int) (joined []term, ok bool) {
	value, err := op.Apply(terms[i].value, terms[j].value)
	if err != nil {
		return nil, false
	}
	joined = make([]term, 0, len(terms)-1)
	for k, t := range terms {
		if k != i && k != j {
			joined = append(joined, t)
		}
	}
	return append(joined, term{value: value, expr: arith.Combine(terms[i].expr, op, terms[j].expr)}), true
}

// frame is a state on the way, with how its numbers were made.
type frame struct {
	state State
	terms []term
}

// trace is a completion in the making. path is the branch it stands on, from the puzzle's numbers to the present state:
//
//	4 5 6 10  ──10 - 4──►  5 6 6  ──5 * 6──►  6 30       path: three frames
//	              back (left: 5 6 6)                      path: two frames
type trace struct {
	text    []byte
	path    []frame
	visited []State
}

func newTrace(g *Game) *trace {
	return &trace{path: []frame{{state: g.Numbers, terms: leaves(&g.Numbers)}}, visited: []State{g.Numbers}}
}

func (tr *trace) top() *frame { return &tr.path[len(tr.path)-1] }

// apply writes a move, made on the present state or on a part of it, and stands where it leads. Of several terms with the value
// wanted the one made last is used.
func (tr *trace) apply(m *move) {
	f := tr.top()
	i := lastOf(f.terms, m.a, -1)
	j := lastOf(f.terms, m.b, i)
	terms, _ := join(f.terms, i, m.op, j)
	next, _ := f.state.replace(m.a, m.b, m.result)
	whole := *m
	whole.next = next
	tr.text = appendOperation(tr.text, &whole)
	tr.path = append(tr.path, frame{state: next, terms: terms})
	tr.visited = append(tr.visited, next)
}

// back writes a return to path[i].
func (tr *trace) back(i int) {
	tr.path = tr.path[:i+1]
	tr.text = appendBack(tr.text, &tr.top().state)
}

// answer writes the answer whose value is n, which is left.
func (tr *trace) answer(n arith.Number) {
	terms := tr.top().terms
	tr.text = appendAnswer(tr.text, terms[lastOf(terms, n, -1)].expr, n)
}

// lastOf is the index of the last term with that value, other than except; -1 when there is none.
func lastOf(terms []term, value arith.Number, except int) int {
	for i, t := range slices.Backward(terms) {
		if i != except && t.value == value {
			return i
		}
	}
	return -1
}
