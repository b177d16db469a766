package mcts

import (
	"context"
	"math/rand/v2"
)

// Evaluator knows the states that a search walks over. S is whatever it needs to go on from a state.
//
// Evaluate returns one evaluation for each request, in order. It is called from one goroutine, once per wave, with the leaves of
// all trees that need one. What it says of a state must not depend on the other requests of the call, or trees stop being
// independent of each other. The search keeps the slices that it returns, unchanged. An error ends the search.
type Evaluator[S any] interface {
	Evaluate(ctx context.Context, requests []Request[S]) ([]Evaluation[S], error)
}

// Request asks for a state's evaluation.
type Request[S any] struct {
	State S
	// Tree is the index, among those grown together, of the tree that asks.
	Tree int
	// Known is the number of actions that the node has: 0 at the first evaluation. Above that the node was evaluated before and asks
	// for further actions; no more than Actions, Offer, Cost and Enough of the answer are looked at, and actions known already are
	// merged.
	Known int
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
	// Offer, with [Config.Offers], is the prior of the action that the evaluator would give if it were asked for a further one; 0 for
	// none.
	Offer float64
	// Cost is what the answer cost, in the caller's unit, >= 0; see [Config.Budget].
	Cost int
	// Enough tells that nothing more need be found out: once this is backed up, the tree is left alone.
	Enough bool
}

// Action is one step that can be taken from a state. Actions with equal keys are one action: the search keeps the first's place,
// reward and next state, sums the priors, and masks it where any of them is masked.
type Action[S any] struct {
	// Key tells the action from its siblings.
	Key string `json:"key"`
	// Prior is the action's probability, finite and >= 0. The priors of a state's unmasked actions are scaled to sum to 1, but
	// for those beside [Config.Offers]; where all are zero they become equal.
	Prior float64 `json:"prior"`
	// Reward is earned by taking the action, finite.
	Reward float64 `json:"reward"`
	// Masked actions are never taken and get no part of the visit policy.
	Masked bool `json:"masked"`
	// State names the state that the action leads to. With [Config.Share], actions that lead to states of one name lead to one
	// node, so what is expected from a state on must be the same for all of that name. Empty is a state of its own.
	State string `json:"state"`
	// Next is the state that the action leads to.
	Next S `json:"next"`
}

// Root is where one tree starts.
type Root[S any] struct {
	State S
	// Name is the state's own, as in [Action.State].
	Name string
	// Rng feeds the root's noise and nothing else; it may be nil where there is none.
	Rng *rand.Rand
}
