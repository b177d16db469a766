package numbers

import (
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone/task/arith"
)

func stateOf(values ...int64) State {
	var list []arith.Number
	for _, v := range values {
		list = append(list, arith.Int(v))
	}
	s, _ := StateOf(list)
	return s
}

// bruteForce collects every value by trying all operations on all ordered pairs, with math/big.
func bruteForce(values []*big.Rat, visit func(*big.Rat)) {
	if len(values) == 1 {
		visit(values[0])
		return
	}
	for i := range values {
		for j := range values {
			if i == j {
				continue
			}
			var rest []*big.Rat
			for k := range values {
				if k != i && k != j {
					rest = append(rest, values[k])
				}
			}
			x, y := values[i], values[j]
			results := []*big.Rat{new(big.Rat).Add(x, y), new(big.Rat).Sub(x, y), new(big.Rat).Mul(x, y)}
			if y.Sign() != 0 {
				results = append(results, new(big.Rat).Quo(x, y))
			}
			for _, r := range results {
				bruteForce(append(slices.Clip(rest), r), visit)
			}
		}
	}
}

// TestReachesAgainstBruteForce asks for every value that brute force finds, and for as many near it.
func TestReachesAgainstBruteForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-3, 13), 1, 4).Draw(t, "values")
		var rats []*big.Rat
		for _, v := range values {
			rats = append(rats, big.NewRat(v, 1))
		}
		found := make(map[arith.Number]bool)
		bruteForce(rats, func(r *big.Rat) {
			n, err := arith.Fraction(r.Num().Int64(), r.Denom().Int64())
			require.NoError(t, err)
			found[n] = true
		})
		s := stateOf(values...)
		for n := range found {
			require.True(t, s.Reaches(n), "%v makes %v", s, n)
		}
		for target := int64(-30); target <= 60; target++ {
			require.Equal(t, found[arith.Int(target)], s.Reaches(arith.Int(target)), "%v and %d", s, target)
		}
		half, err := arith.Fraction(rapid.Int64Range(-20, 20).Draw(t, "num"), rapid.Int64Range(1, 12).Draw(t, "den"))
		require.NoError(t, err)
		require.Equal(t, found[half], s.Reaches(half), "%v and %v", s, half)
	})
}

// TestReachesWithFiveAndSix compares with the moves: a state reaches a target when some state one move on does.
func TestReachesWithFiveAndSix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s      State
		target int64
	}{
		{stateOf(1, 1, 1, 1, 1), 24},
		{stateOf(1, 1, 1, 1, 1), 6},
		{stateOf(1, 1, 1, 1, 1), 0},
		{stateOf(2, 3, 5, 7, 11), 997},
		{stateOf(1, 1, 1, 1, 1, 1), 24},
		{stateOf(1, 1, 1, 1, 1, 1), 12},
		{stateOf(1, 1, 1, 1, 2, 2), 37},
		{stateOf(3, 3, 7, 7, 7, 9), 24},
	} {
		target := arith.Int(c.target)
		want := false
		for _, m := range c.s.moves() {
			want = want || m.next.Reaches(target)
		}
		require.Equal(t, want, c.s.Reaches(target), "%v and %v", c.s, target)
	}
}

func TestCoresAreTheSmallestParts(t *testing.T) {
	t.Parallel()
	g := Game{Numbers: stateOf(3, 7, 25, 50), Target: arith.Int(1250), Subset: true}
	require.Equal(t, []State{stateOf(25, 50)}, g.cores(&g.Numbers))
	g.Target = arith.Int(25)
	require.Equal(t, []State{stateOf(25)}, g.cores(&g.Numbers))
	g.Target = arith.Int(99999)
	require.Empty(t, g.cores(&g.Numbers))
	g.Subset, g.Target = false, arith.Int(85)
	require.Equal(t, []State{g.Numbers}, g.cores(&g.Numbers))
}

func TestMovesAreDistinctAndKeepCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := stateOf(rapid.SliceOfN(rapid.Int64Range(-2, 6), 2, Most).Draw(t, "values")...)
		seen := make(map[string]bool)
		for _, m := range s.moves() {
			text := string(appendOperation(nil, &m))
			require.False(t, seen[text], text)
			seen[text] = true
			require.Equal(t, s.count-1, m.next.count)
			back, ok := m.next.without(m.result)
			require.True(t, ok)
			require.Equal(t, s, back.with(m.a).with(m.b), "taking the result out and putting the operands back undoes a move")
		}
	})
}

func BenchmarkReaches(b *testing.B) {
	for name, s := range map[string]State{"count=3": stateOf(1, 1, 1), "count=4": stateOf(1, 2, 13, 29), "count=5": stateOf(1, 1, 1, 1, 1)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Reaches(arith.Int(24 + 9973))
			}
		})
	}
}
