// Package numbers holds the rules that puzzles of the kind "use these numbers to make that one" share: the grammar of a line, the
// judging of steps and answers, an exact solver, and demonstrations. task/game24 and task/countdown say which puzzles there are.
//
// A completion is lines. Each line is one step, of one of three forms, with exactly one space where a space stands:
//
//	10 - 4 = 6 (left: 5 6 6)                one operation on two numbers that are left, then all numbers left, ascending
//	back (left: 4 5 6 10)                   return to a state that was visited earlier and is not the present one
//	Answer: (5 * (10 - 4)) - 6 = 24         an expression over the puzzle's numbers and its value; ends the reasoning
//
// In an operation and after "left:" numbers are written as [arith.Number] prints them (6, -2, 8/3). The expression of an answer
// may have any spacing and parentheses that [arith.Parse] reads.
package numbers

import (
	"slices"

	"github.com/hone-rl/hone/task/arith"
)

// Most is how many numbers a puzzle may have.
const Most = 6

// State is the multiset of numbers left: at most [Most], ascending. States are equal when == says so.
type State struct {
	count  int
	values [Most]arith.Number
}

// StateOf sorts the numbers into a state; ok is false when there are more than [Most].
func StateOf(values []arith.Number) (s State, ok bool) {
	if len(values) > Most {
		return State{}, false
	}
	s.count = copy(s.values[:], values)
	slices.SortFunc(s.values[:s.count], arith.Number.Compare)
	return s, true
}

// Len is how many numbers are left.
func (s *State) Len() int { return s.count }

// Numbers are the numbers left, ascending; the slice is the state's own.
func (s *State) Numbers() []arith.Number { return s.values[:s.count] }

// String is the numbers with a space between, such as "5 6 6".
func (s State) String() string { return string(s.append(make([]byte, 0, 24))) }

func (s *State) append(dst []byte) []byte {
	for i, n := range s.Numbers() {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = n.Append(dst)
	}
	return dst
}

// has tells whether n is left.
func (s *State) has(n arith.Number) bool { return slices.Contains(s.Numbers(), n) }

// without is the state less one n; ok is false when n is not left.
func (s State) without(n arith.Number) (State, bool) {
	i := slices.Index(s.Numbers(), n)
	if i < 0 {
		return s, false
	}
	copy(s.values[i:], s.values[i+1:s.count])
	s.count--
	s.values[s.count] = arith.Number{}
	return s, true
}

// with is the state and n; there must be room.
func (s State) with(n arith.Number) State {
	i := s.count
	for ; i > 0 && s.values[i-1].Compare(n) > 0; i-- {
		s.values[i] = s.values[i-1]
	}
	s.values[i] = n
	s.count++
	return s
}

// replace is the state with a and b taken and result put in their place; ok is false when a and b are not both left.
func (s State) replace(a, b, result arith.Number) (State, bool) {
	s, ok := s.without(a)
	if !ok {
		return s, false
	}
	if s, ok = s.without(b); !ok {
		return s, false
	}
	return s.with(result), true
}

// move is one operation that a state allows and where it leads.
type move struct {
	a, b, result arith.Number
	op           arith.Op
	next         State
}

// moves are all distinct operations on two of the numbers left. The operands of + and * come smaller first, so that
// 5 * 6 and 6 * 5 are one move; - and / come in both orders. The order of moves is fixed.
func (s *State) moves() []move {
	var all []move
	put := func(a arith.Number, op arith.Op, b arith.Number) {
		result, err := op.Apply(a, b)
		if err != nil {
			return
		}
		next, _ := s.replace(a, b, result)
		all = append(all, move{a: a, b: b, op: op, result: result, next: next})
	}
	for i := range s.count {
		if i > 0 && s.values[i] == s.values[i-1] {
			continue
		}
		for j := i + 1; j < s.count; j++ {
			low, high := s.values[i], s.values[j]
			if j > i+1 && high == s.values[j-1] {
				continue
			}
			put(low, arith.Plus, high)
			put(low, arith.Times, high)
			put(high, arith.Minus, low)
			put(high, arith.Over, low)
			if low != high {
				put(low, arith.Minus, high)
				put(low, arith.Over, high)
			}
		}
	}
	return all
}
