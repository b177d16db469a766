package countdown

import (
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
)

// splits are the problems of a configuration.
type splits struct {
	train, heldOut []hone.Problem
	// reserved are the keys of heldOut.
	reserved map[string]bool
}

// misses is how many draws in a row may give nothing new before generation ends: the configuration has no more problems to give,
// or next to none.
const misses = 10000

// generate draws the held-out problems first, so that they do not depend on how many are trained on.
func (t *Task) generate() splits {
	s := splits{reserved: make(map[string]bool)}
	rng := hone.Rand(hone.Seed(t.cfg.Seed, "countdown problems"))
	seen := make(map[string]bool)
	for missed := 0; missed < misses && len(s.heldOut)+len(s.train) < t.cfg.HeldOut+t.cfg.Train; missed++ {
		p, ok := t.draw(rng)
		if !ok || seen[p.Key] {
			continue
		}
		missed = 0
		seen[p.Key] = true
		if len(s.heldOut) < t.cfg.HeldOut {
			s.heldOut = append(s.heldOut, p)
			s.reserved[p.Key] = true
		} else {
			s.train = append(s.train, p)
		}
	}
	return s
}

// draw makes a problem: numbers, of which two or more, or all, are joined, each time two into a positive integer, until one is left;
// that is the target. It reports false when the target is out of range or is among the numbers.
func (t *Task) draw(rng *rand.Rand) (hone.Problem, bool) {
	count := t.cfg.MinNumbers + rng.IntN(t.cfg.MaxNumbers-t.cfg.MinNumbers+1)
	values := make([]arith.Number, count)
	for i := range values {
		values[i] = arith.Int(1 + rng.Int64N(int64(t.cfg.MaxNumber)))
	}
	joined := count
	if !t.cfg.UseAll {
		joined = 2 + rng.IntN(count-1)
	}
	used := slices.Clone(values[:joined])
	for len(used) > 1 {
		rng.Shuffle(len(used), func(i, j int) { used[i], used[j] = used[j], used[i] })
		last := len(used) - 1
		ops := [...]arith.Op{arith.Plus, arith.Minus, arith.Times, arith.Over}
		n, err := ops[rng.IntN(len(ops))].Apply(used[last-1], used[last])
		if err != nil || !n.IsInt() || n.Sign() <= 0 {
			continue
		}
		used = append(used[:last-1], n)
	}
	target := used[0]
	least, most := arith.Int(int64(t.cfg.MinTarget)), arith.Int(int64(t.cfg.MaxTarget))
	if target.Compare(least) < 0 || target.Compare(most) > 0 || slices.Contains(values, target) {
		return hone.Problem{}, false
	}
	g := t.gameOf(values, target)
	return t.ProblemOf(&g), true
}
