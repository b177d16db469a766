package numbers

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
)

// Demonstrate writes a completion in the style; see [task.Demonstrator].
func (r *Rules) Demonstrate(p hone.Problem, rng *rand.Rand, style task.Style, traces task.Traces) (string, error) {
	game, err := r.game(p)
	if err != nil {
		return "", err
	}
	d := demonstrator{game: &game, rng: rng, traces: traces, trace: newTrace(&game)}
	switch style {
	case task.StyleWalk:
		d.walk()
		return string(d.trace.text), nil
	case task.StyleSolve, task.StyleRetry:
		if style == task.StyleRetry {
			d.fail()
		}
		if !game.solve(d.trace, rng, d.choose) {
			return "", fmt.Errorf("demonstrate %q in style %q: solution: %w", p.Key, style, hone.ErrNotFound)
		}
		return string(d.trace.text), nil
	case task.StyleSearch:
		if !d.search() {
			return "", fmt.Errorf("demonstrate %q in style %q: solution: %w", p.Key, style, hone.ErrNotFound)
		}
		return string(d.trace.text), nil
	}
	return "", fmt.Errorf("style %q: want %q, %q, %q or %q: %w",
		style, task.StyleSolve, task.StyleWalk, task.StyleRetry, task.StyleSearch, hone.ErrInvalid)
}

// demonstrator writes one demonstration.
type demonstrator struct {
	game   *Game
	rng    *rand.Rand
	traces task.Traces
	trace  *trace
}

// choose picks a move at random: usually one whose result is a small integer that is not negative, sometimes a fraction or a
// negative integer, and whatever there is where the wanted sort is missing.
func (d *demonstrator) choose(moves []move) *move {
	most := arith.Int(int64(d.traces.MaxResult))
	small := func(n arith.Number) bool { return n.Compare(most) <= 0 && n.Compare(most.Neg()) >= 0 }
	plain := func(n arith.Number) bool { return n.IsInt() && n.Sign() >= 0 && small(n) }
	wanted := plain
	switch u := d.rng.Float64(); {
	case u < d.traces.ProbFraction:
		wanted = func(n arith.Number) bool { return !n.IsInt() && small(n) }
	case u < d.traces.ProbFraction+d.traces.ProbNegative:
		wanted = func(n arith.Number) bool { return n.IsInt() && n.Sign() < 0 && small(n) }
	}
	var pool []int
	for _, fits := range []func(arith.Number) bool{wanted, plain, small, func(arith.Number) bool { return true }} {
		for i := range moves {
			if fits(moves[i].result) {
				pool = append(pool, i)
			}
		}
		if len(pool) > 0 {
			break
		}
	}
	return &moves[pool[d.rng.IntN(len(pool))]]
}

// walk makes random moves, all of them where every number must be used, and answers what came out.
func (d *demonstrator) walk() {
	count := d.game.Numbers.count - 1
	if d.game.Subset {
		count = 1 + d.rng.IntN(max(1, count))
	}
	last := d.game.Numbers.values[0]
	for range min(count, d.game.Numbers.count-1) {
		m := d.choose(d.trace.top().state.moves())
		d.trace.apply(m)
		last = m.result
	}
	d.trace.answer(last)
}

// fail goes down one or more branches that do not lead to the target and comes back from each, at last to a state from which the
// target can be reached. A puzzle of one number has no branches.
func (d *demonstrator) fail() {
	if d.game.Numbers.count < 2 {
		return
	}
	for tries := 1 + d.rng.IntN(d.traces.MaxRetries); tries > 0; tries-- {
		d.descend()
		var ways []int
		for i := range d.trace.path[:len(d.trace.path)-1] {
			// The first state is always a way: without it a puzzle that has no solution would leave none.
			if tries > 1 || i == 0 || len(d.game.cores(&d.trace.path[i].state)) > 0 {
				ways = append(ways, i)
			}
		}
		if len(ways) > 0 {
			d.trace.back(ways[d.rng.IntN(len(ways))])
		}
	}
}

// descend makes at least one move, off the target and if possible to states not seen before, until one number is left, or two
// from which the target is out of reach and the coin says that this was seen.
func (d *demonstrator) descend() {
	for {
		s := d.trace.top().state
		var off, fresh []move
		for _, m := range s.moves() {
			if d.hits(&m) {
				continue
			}
			off = append(off, m)
			if !slices.Contains(d.trace.visited, m.next) {
				fresh = append(fresh, m)
			}
		}
		if len(fresh) > 0 {
			off = fresh
		}
		if len(off) == 0 {
			return
		}
		d.trace.apply(d.choose(off))
		s = d.trace.top().state
		if s.count == 1 || s.count == 2 && d.rng.IntN(2) == 0 && len(d.game.cores(&s)) == 0 {
			return
		}
	}
}

// hits tells whether the move makes the target, so that an answer could follow.
func (d *demonstrator) hits(m *move) bool {
	return m.result == d.game.Target && (d.game.Subset || m.next.count == 1)
}
