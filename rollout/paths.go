package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// CacheConfig says what searches remember of states that were solved before.
type CacheConfig struct {
	// Bytes is the most that what is remembered may take, >= 0; 0 remembers nothing.
	Bytes int `json:"bytes" yaml:"bytes"`
	// Cycles is how many cycles are remembered, >= 1 where anything is: those whose updates made the newest versions up to the one that
	// searches. What older policies came to is forgotten.
	Cycles int `json:"cycles" yaml:"cycles"`
	// Share is the share, in [0, 1], that the mean of what was earned from a state has in its value, beside what it would be otherwise.
	Share float64 `json:"share" yaml:"share"`
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c CacheConfig) Validate() error {
	var faults []error
	if c.Bytes < 0 || c.Cycles < 0 || c.Bytes > 0 && c.Cycles == 0 {
		faults = append(faults, fmt.Errorf("search cache bytes %d, cycles %d: want at least 0, and at least 1 cycle where there are bytes: %w",
			c.Bytes, c.Cycles, hone.ErrInvalid))
	}
	if !(c.Share >= 0 && c.Share <= 1) {
		faults = append(faults, fmt.Errorf("search cache share %v: want a number in [0, 1]: %w", c.Share, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// Paths remember, by state, a step that led to a right answer from there, and what was earned from there on the whole. They are made of
// what cycles stored ([Paths.Learn]) and then only read, so that what they hold depends on those cycles alone, and not on when or where
// something is searched.
//
// A state is the task's, with what the problem asks for ([task.Goaler]); where the task doesn't say what that is, problems share nothing.
// Only the problems that they were made for are learned from and looked up, so that neither can what was solved for training help with a
// test problem, nor the other way round.
type Paths struct {
	task     task.Task
	goals    task.Goaler // nil where the task has none
	problems map[string]bool
	bytes    int
	states   map[string]*remembered
	clock    int
}

// remembered is what is known of one state.
type remembered struct {
	step   string // of the newest right line through the state, without its end; "" before there was one
	seen   int    // trajectories through the state
	earned float64
	last   int // when it was last seen
}

// overhead is what a state takes beside its name and its step: two headers, the numbers, and its place in the map.
const overhead = 96

// NewPaths remember nothing yet. They take up to bytes, and are for these problems of the task.
func NewPaths(t task.Task, problems []hone.Problem, bytes int) *Paths {
	p := &Paths{task: t, problems: make(map[string]bool, len(problems)), bytes: bytes, states: make(map[string]*remembered)}
	p.goals, _ = t.(task.Goaler)
	for _, one := range problems {
		p.problems[one.ID()] = true
	}
	return p
}

// Len is the number of states that are remembered, Bytes what they take.
func (p *Paths) Len() int { return len(p.states) }

// Bytes is what the remembered states take.
func (p *Paths) Bytes() int {
	sum := 0
	for name, r := range p.states {
		sum += r.size(name)
	}
	return sum
}

func (r *remembered) size(name string) int { return len(name) + len(r.step) + overhead }

// Learn takes in the judged trajectories of a cycle, in their order: what was earned is 1 for a right answer and 0 for a wrong one.
// Then the states seen least lately are forgotten, until the rest fit.
func (p *Paths) Learn(cycle []hone.Scored) {
	for i := range cycle {
		t := &cycle[i].Trajectory
		right := cycle[i].Breakdown.Outcome == hone.OutcomeRight
		if !p.problems[t.Problem.ID()] || !right && cycle[i].Breakdown.Outcome != hone.OutcomeWrong {
			continue
		}
		p.learn(t.Problem, t.Text, right)
	}
	p.forget()
}

func (p *Paths) learn(problem hone.Problem, text string, right bool) {
	for _, m := range p.line(problem, text) {
		name := p.name(problem, m.from)
		r := p.states[name]
		if r == nil {
			r = &remembered{}
			p.states[name] = r
		}
		p.clock++
		r.last = p.clock
		r.seen++
		if right {
			r.step = m.step
			r.earned++
		}
	}
}

// moved is a good step that computed something, from a state to another.
type moved struct{ from, step, to string }

// line is the good steps of a text that lead from its problem to where it ended, without those that it took back.
func (p *Paths) line(problem hone.Problem, text string) []moved {
	at, _ := p.task.State(problem, "")
	start := at
	var out []moved
	steps := p.task.Steps(text)
	for i, check := range p.task.Check(problem, text) {
		if !check.Good() || i >= len(steps) {
			continue
		}
		switch check.Kind {
		case task.StepOperation:
			out = append(out, moved{from: at, step: steps[i], to: check.State})
			at = check.State
		case task.StepBack:
			for len(out) > 0 && out[len(out)-1].to != check.State {
				out = out[:len(out)-1]
			}
			if at = start; len(out) > 0 {
				at = out[len(out)-1].to
			}
		case task.StepAnswer:
			return out
		case task.StepAssumption, task.StepOther:
		}
	}
	return out
}

// name is a state's among all problems.
func (p *Paths) name(problem hone.Problem, state string) string {
	goal := problem.ID()
	if p.goals != nil {
		goal = p.goals.Goal(problem)
	}
	return goal + "\x00" + state
}

// forget leaves out the states seen least lately, until the rest fit.
func (p *Paths) forget() {
	type aged struct {
		name string
		last int
	}
	all := make([]aged, 0, len(p.states))
	for name, r := range p.states {
		all = append(all, aged{name, r.last})
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Compare(b.last, a.last) })
	left := p.bytes
	for i, one := range all {
		if left -= p.states[one.name].size(one.name); left < 0 {
			for _, old := range all[i:] {
				delete(p.states, old.name)
			}
			return
		}
	}
}

// Solved is a step that led from the state to a right answer, and the mean of what was earned from there, in [0, 1]; ok is false for
// a state that was never solved and for a problem that these paths aren't for.
func (p *Paths) Solved(problem hone.Problem, state string) (step string, earned float64, ok bool) {
	if !p.problems[problem.ID()] {
		return "", 0, false
	}
	r := p.states[p.name(problem, state)]
	if r == nil || r.step == "" {
		return "", 0, false
	}
	return r.step, r.earned / float64(r.seen), true
}
