package numbers

import (
	"fmt"
	"math/rand/v2"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
)

// chooser picks one of at least one move.
type chooser func(moves []move) *move

// solve appends to the trace a shortest solution from where it stands, choosing among the first operations of shortest solutions
// at each step, and its answer. It reports whether there is a solution.
func (g *Game) solve(tr *trace, rng *rand.Rand, choose chooser) bool {
	start := tr.top().state
	cores := g.cores(&start)
	if len(cores) == 0 {
		return false
	}
	core := cores[rng.IntN(len(cores))]
	for core.count > 1 {
		var good []move
		for _, m := range core.moves() {
			if m.next.Reaches(g.Target) {
				good = append(good, m)
			}
		}
		m := choose(good)
		core = m.next
		tr.apply(m)
	}
	tr.answer(g.Target)
	return true
}

// Solve writes a shortest solution of the problem, always the same one; [hone.ErrNotFound] when there is none.
func (r *Rules) Solve(p hone.Problem) (completion string, err error) {
	game, err := r.game(p)
	if err != nil {
		return "", err
	}
	tr := newTrace(&game)
	first := func(moves []move) *move { return &moves[0] }
	if !game.solve(tr, hone.Rand(0), first) {
		return "", fmt.Errorf("solution of %q: %w", p.Key, hone.ErrNotFound)
	}
	return string(tr.text), nil
}

// Solutions are the distinct answers of the problem in a fixed order, such as "(5 * (10 - 4)) - 6", at most limit of them. Two
// answers that differ only in the order of the operands of + and * count as one. There may be none.
func (r *Rules) Solutions(p hone.Problem, limit int) ([]string, error) {
	game, err := r.game(p)
	if err != nil {
		return nil, err
	}
	f := finder{game: &game, limit: limit, seen: make(map[string]bool)}
	if !game.Subset {
		f.find(leaves(&game.Numbers))
		return f.found, nil
	}
	for size := 1; size <= game.Numbers.count; size++ {
		for mask := 1; mask < 1<<game.Numbers.count; mask++ {
			if part, _ := game.Numbers.split(mask); part.count == size {
				f.find(leaves(&part))
			}
		}
	}
	return f.found, nil
}

// finder collects distinct solutions.
type finder struct {
	game  *Game
	limit int
	seen  map[string]bool
	found []string
}

// find collects the expressions that use all items and have the target as their value.
func (f *finder) find(items []term) {
	values := make([]arith.Number, len(items))
	for i, it := range items {
		values[i] = it.value
	}
	s, _ := StateOf(values)
	if len(f.found) >= f.limit || !s.Reaches(f.game.Target) {
		return
	}
	if len(items) == 1 {
		if key := items[0].expr.Key(); !f.seen[key] {
			f.seen[key] = true
			f.found = append(f.found, items[0].expr.String())
		}
		return
	}
	for i := range items {
		for j := range items {
			if i == j {
				continue
			}
			for _, op := range []arith.Op{arith.Plus, arith.Minus, arith.Times, arith.Over} {
				if op.Commutes() && i > j {
					continue
				}
				if joined, ok := join(items, i, op, j); ok {
					f.find(joined)
				}
			}
		}
	}
}
