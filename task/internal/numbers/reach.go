package numbers

import (
	"math/bits"
	"slices"

	"github.com/hone-rl/hone/task/arith"
)

// Reaches tells whether some expression that uses every number of the state exactly once has the value target. It is exact.
//
// It splits the numbers in two: the smaller side is computed forward to all its values, the larger is asked whether it reaches
// what would be needed to get from there to the target. On four numbers that is some thousand comparisons.
func (s *State) Reaches(target arith.Number) bool {
	switch s.count {
	case 0:
		return false
	case 1:
		return s.values[0] == target
	case 2:
		return pairReaches(s.values[0], s.values[1], target)
	case 3:
		a, b, c := s.values[0], s.values[1], s.values[2]
		return pairReachesAround(b, c, a, target) || a != b && pairReachesAround(a, c, b, target) ||
			b != c && pairReachesAround(a, b, c, target)
	}
	for mask := 1; mask < 1<<s.count-1; mask++ {
		size := bits.OnesCount(uint(mask))
		if 2*size > s.count || 2*size == s.count && mask&1 == 0 {
			continue
		}
		small, large := s.split(mask)
		var values []arith.Number
		var space [6]arith.Number
		switch size {
		case 1:
			values = small.values[:1]
		case 2:
			values = small.appendPairValues(space[:0])
		default:
			values = small.tripleValues()
		}
		for _, y := range values {
			if large.reachesAround(y, target) {
				return true
			}
		}
	}
	return false
}

// reachesAround tells whether s reaches some x for which an operation on x and y, in either order, gives target.
func (s *State) reachesAround(y, target arith.Number) bool {
	if s.count == 2 {
		return pairReachesAround(s.values[0], s.values[1], y, target)
	}
	if y.Sign() == 0 && target.Sign() == 0 {
		return true // whatever x is, x * 0 = 0
	}
	var space [6]arith.Number
	return slices.ContainsFunc(appendGoals(space[:0], y, target), s.Reaches)
}

// pairReachesAround is reachesAround for the state of a and b.
func pairReachesAround(a, b, y, target arith.Number) bool {
	if y.Sign() == 0 && target.Sign() == 0 {
		return true
	}
	var space [6]arith.Number
	for _, x := range appendGoals(space[:0], y, target) {
		if pairReaches(a, b, x) {
			return true
		}
	}
	return false
}

// appendGoals appends to dst every x for which an operation on x and y, in either order, gives target; y and target are not
// both 0.
func appendGoals(dst []arith.Number, y, target arith.Number) []arith.Number {
	put := func(x arith.Number, err error) {
		if err == nil && !slices.Contains(dst, x) {
			dst = append(dst, x)
		}
	}
	put(target.Sub(y)) // x + y
	put(target.Add(y)) // x - y
	put(y.Sub(target)) // y - x
	if y.Sign() == 0 {
		return dst
	}
	put(target.Div(y)) // x * y
	put(target.Mul(y)) // x / y
	if target.Sign() != 0 {
		put(y.Div(target)) // y / x
	}
	return dst
}

// pairReaches tells whether one operation on a and b, in either order, gives target.
func pairReaches(a, b, target arith.Number) bool {
	if a.IsInt() && b.IsInt() && !target.IsInt() {
		// Only a quotient can be a fraction. In lowest terms num/den it is a/b when b is k * den and a is k * num.
		num, den := target.Num(), target.Den()
		quotient := func(a, b int64) bool { return b != 0 && b%den == 0 && a%num == 0 && a/num == b/den }
		return quotient(a.Num(), b.Num()) || quotient(b.Num(), a.Num())
	}
	is := func(want, n arith.Number, err error) bool { return err == nil && n == want }
	sum, err := a.Add(b)
	if is(target, sum, err) {
		return true
	}
	product, err := a.Mul(b)
	if is(target, product, err) {
		return true
	}
	// a - b = target means b + target = a, and so for quotients, which saves reducing fractions.
	for _, pair := range [2][2]arith.Number{{a, b}, {b, a}} {
		sum, err := pair[1].Add(target)
		if is(pair[0], sum, err) {
			return true
		}
		if pair[1].Sign() == 0 {
			continue
		}
		if product, err := pair[1].Mul(target); is(pair[0], product, err) {
			return true
		}
	}
	return false
}

// split puts the numbers whose bit is set in mask on one side and the others on the other.
func (s *State) split(mask int) (in, out State) {
	for i, n := range s.Numbers() {
		side := &out
		if mask&(1<<i) != 0 {
			side = &in
		}
		side.values[side.count] = n
		side.count++
	}
	return in, out
}

// appendPairValues appends to dst, without duplicates, what one operation makes of a state of two numbers.
func (s *State) appendPairValues(dst []arith.Number) []arith.Number {
	for _, op := range [...]arith.Op{arith.Plus, arith.Minus, arith.Times, arith.Over} {
		for i := range 2 {
			n, err := op.Apply(s.values[i], s.values[1-i])
			if err == nil && !slices.Contains(dst, n) {
				dst = append(dst, n)
			}
		}
	}
	return dst
}

// tripleValues are, ascending and without duplicates, what two operations make of a state of three numbers.
func (s *State) tripleValues() []arith.Number {
	var values []arith.Number
	for _, m := range s.moves() {
		values = m.next.appendPairValues(values)
	}
	slices.SortFunc(values, arith.Number.Compare)
	return slices.Compact(values)
}

// cores are the smallest parts of the state from which the game's target can be reached using all of the part: the state itself
// where every number must be used, else the smallest multisets, in a fixed order. Empty when the target is out of reach.
func (g *Game) cores(s *State) []State {
	if !g.Subset {
		if s.Reaches(g.Target) {
			return []State{*s}
		}
		return nil
	}
	for size := 1; size <= s.count; size++ {
		var found []State
		for mask := 1; mask < 1<<s.count; mask++ {
			if part, _ := s.split(mask); part.count == size && !slices.Contains(found, part) && part.Reaches(g.Target) {
				found = append(found, part)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}
