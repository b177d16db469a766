package mcts

import (
	"context"
	"math/rand/v2"
)

// Evaluator knows the states that a search walks over. S is whatever it needs to go on from a state.
//
// Evaluate returns one evaluation for each state, in order. It is called from one goroutine, once per wave, with one state for
// each tree that needs one. What it says of a state must not depend on the other states of the call, or trees stop being
// independent of each other. The search keeps the slices that it returns. An error ends the search.
type Evaluator[S any] interface {
	Evaluate(ctx context.Context, states []S) ([]Evaluation[S], error)
}

// Evaluation is what an evaluator says of one state.
type Evaluation[S any] struct {
	// Value is the expected return from the state on, finite. Of a terminal state it is the true reward of having got there, and
	// every visit backs up the same.
	Value float64
	// Terminal tells that nothing follows; Actions are ignored.
	Terminal bool
	// Actions are what may be done next. A state that isn't terminal and has none that isn't masked is a dead end: it keeps its
	// value and is never left.
	Actions []Action[S]
}

// Action is one step that can be taken from a state. Actions with equal keys are one action: the search keeps the first's place,
// reward and next state, sums the priors, and masks it where any of them is masked.
type Action[S any] struct {
	// Key tells the action from its siblings.
	Key string
	// Prior is the action's probability, finite and >= 0. The priors of a state's unmasked actions are scaled to sum to 1; where
	// all are zero they become equal.
	Prior float64
	// Reward is earned by taking the action, finite.
	Reward float64
	// Masked actions are never taken and get no part of the visit policy.
	Masked bool
	// Next is the state that the action leads to.
	Next S
}

// Root is where one tree starts.
type Root[S any] struct {
	State S
	// Rng feeds the root's Dirichlet noise and nothing else; it may be nil where there is none.
	Rng *rand.Rand
}
