package game24

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
	"github.com/hone-rl/hone/task/internal/numbers"
)

// largest is the largest number of a puzzle that is accepted, whatever training goes to.
const largest = 99

// parse reads a puzzle: three or four numbers in any order, with spaces or commas between. It is called for every completion
// judged, so it allocates nothing for a good key.
func parse(key string) (numbers.Game, error) {
	var values [4]int
	count := 0
	for at := 0; at < len(key); {
		if separates(key[at]) {
			at++
			continue
		}
		n := 0
		for ; at < len(key) && !separates(key[at]); at++ {
			digit := int(key[at]) - '0'
			if n = 10*n + digit; digit < 0 || digit > 9 || n > largest {
				return numbers.Game{}, wrongPuzzle(key)
			}
		}
		if n < 1 || count == len(values) {
			return numbers.Game{}, wrongPuzzle(key)
		}
		values[count] = n
		count++
	}
	if count < 3 {
		return numbers.Game{}, wrongPuzzle(key)
	}
	return gameOf(values[:count]), nil
}

func separates(c byte) bool { return c == ' ' || c == ',' }

func wrongPuzzle(key string) error {
	if len(key) > 60 {
		key = key[:60] + "..."
	}
	return fmt.Errorf("puzzle %q: want 4 numbers from 1 to 13, such as \"4 5 6 10\" (3 numbers and numbers up to %d are accepted too): %w",
		key, largest, hone.ErrInvalid)
}

// standard reports a puzzle that is not four numbers from 1 to 13.
func standard(puzzle []int) error {
	if len(puzzle) != 4 || slices.Min(puzzle) < 1 || slices.Max(puzzle) > 13 {
		return fmt.Errorf("puzzle %v: want 4 numbers from 1 to 13, such as \"4 5 6 10\": %w", puzzle, hone.ErrInvalid)
	}
	return nil
}

// key is the puzzle's numbers, ascending.
func key(g *numbers.Game) string { return g.Numbers.String() }

// gameOf is the game of three or four numbers.
func gameOf(puzzle []int) numbers.Game {
	var space [4]arith.Number
	for i, n := range puzzle {
		space[i] = arith.Int(int64(n))
	}
	s, _ := numbers.StateOf(space[:len(puzzle)])
	return numbers.Game{Numbers: s, Target: arith.Int(24)}
}

// multisets are all multisets of count numbers from 1 to most, in lexicographic order.
func multisets(count, most int) [][]int {
	var all [][]int
	var grow func(prefix []int, least int)
	grow = func(prefix []int, least int) {
		if len(prefix) == count {
			all = append(all, slices.Clone(prefix))
			return
		}
		for n := least; n <= most; n++ {
			grow(append(prefix, n), n)
		}
	}
	grow(make([]int, 0, count), 1)
	return all
}
