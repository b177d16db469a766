package numbers

import "slices"

// How a demonstrated search goes about it. What a policy learns of the chances is how sure it can be.
const (
	// probLook and probLookTwo are how often a state from which the target is out of reach is looked into before it is given up,
	// where three numbers or more are left, and where two are.
	probLook    = 0.25
	probLookTwo = 0.1
	// probStray and probStrayTwo are how often something else is tried first at a state, other than the puzzle's own numbers, from
	// which the target is within reach.
	probStray    = 0.3
	probStrayTwo = 0.1
	// leastStray bounds the same chance at the puzzle's own numbers. There it is drawn once a trace, between this and 1, so that
	// there are short traces and long ones.
	leastStray = 2.0 / 3
)

// search is a depth-first search that ends in the solution: at each state from which the target is within reach, moves that lead out
// of reach are tried and given up before one that does not is made. No move leads to a state that was seen before. It reports whether
// there is a solution.
func (d *demonstrator) search() bool {
	left := d.traces.MaxRetries
	return d.game.solve(d.trace, d.rng, func(good []move) *move {
		here, dead := len(d.trace.path)-1, d.dead()
		stray := probStray
		switch {
		case here == 0:
			stray = 1 - d.rng.Float64()*(1-leastStray)
		case good[0].next.count == 1:
			stray = probStrayTwo
		}
		for left > 0 && d.rng.Float64() < stray && d.try(dead) {
			left--
			d.trace.back(here)
		}
		return d.choose(good)
	})
}

// dead are the moves of the present state that lead out of the target's reach and do not make it.
func (d *demonstrator) dead() []move {
	return slices.DeleteFunc(d.trace.top().state.moves(), func(m move) bool {
		return d.hits(&m) || len(d.game.cores(&m.next)) > 0
	})
}

// try makes one of the moves, to a state not seen before, and looks around there for a while. All moves from there are dead. It reports
// whether there was such a move.
func (d *demonstrator) try(dead []move) bool {
	fresh := slices.DeleteFunc(slices.Clone(dead), func(m move) bool { return slices.Contains(d.trace.visited, m.next) })
	if len(fresh) == 0 {
		return false
	}
	d.trace.apply(d.choose(fresh))
	here, state := len(d.trace.path)-1, d.trace.top().state
	look := probLook
	if state.count == 2 {
		look = probLookTwo
	}
	for again := false; state.count > 1 && d.rng.Float64() < look; again = true {
		if again {
			d.trace.back(here)
		}
		if !d.try(state.moves()) {
			break
		}
	}
	return true
}
