package advantage

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Branch is what a search tree says of one step of a line: the return of having taken it, and what else could have been done there.
//
//	        state
//	    a /   | b  \ c        Q(a), Q(b), Q(c); the line went on with b
//
//	A(b) = Q(b) - sum_i w_i*Q(i) / sum_i w_i,    i over a, b, c
//
// The baseline is the state's alone, whichever step is looked at, so it leaves the expected gradient as it is. With the policy's
// probabilities as weights it is the policy's own expectation there, and A its advantage; with visits, the search's.
type Branch struct {
	// Q is the return of the step.
	Q float64
	// Siblings are the steps that the search tried there, the step itself among them. Fewer than two are nothing to compare with, and
	// the step's advantage is 0: so it is with a step that lies beyond the tree.
	Siblings []Sibling
}

// Sibling is one way to go on from a state.
type Sibling struct {
	// Q is the return of the step.
	Q float64
	// Weight is its share in the baseline, >= 0, in any unit: prior, visits, or the same for all.
	Weight float64
}

// Advantage is the step's. Weights below 0, or of which none is above 0, are [hone.ErrInvalid]; a number that isn't finite is
// [hone.ErrNonFinite].
func (b Branch) Advantage() (float64, error) {
	if len(b.Siblings) < 2 {
		return 0, nil
	}
	weights, mean := 0.0, 0.0
	for i, s := range b.Siblings {
		if s.Weight < 0 {
			return 0, fmt.Errorf("sibling %d has weight %v, must be at least 0: %w", i, s.Weight, hone.ErrInvalid)
		}
		weights += s.Weight
		mean += s.Weight * s.Q
	}
	if weights == 0 {
		return 0, fmt.Errorf("the weights of %d siblings are all 0: %w", len(b.Siblings), hone.ErrInvalid)
	}
	a := b.Q - mean/weights
	if math.IsNaN(a) || math.IsInf(a, 0) {
		return 0, fmt.Errorf("advantage of a step with q %v among %d siblings is %v: %w", b.Q, len(b.Siblings), a, hone.ErrNonFinite)
	}
	return a, nil
}

// treeAdvantages gives each token its step's advantage.
func treeAdvantages(t Trajectory) ([]float64, error) {
	if err := (Member{Rewards: t.Rewards, Ends: t.Ends}).validate(); err != nil {
		return nil, err
	}
	if len(t.Branches) != len(t.Ends) {
		return nil, fmt.Errorf("%d branches for %d steps: tree advantages need one a step: %w", len(t.Branches), len(t.Ends), hone.ErrInvalid)
	}
	out := make([]float64, 0, len(t.Rewards))
	for s, branch := range t.Branches {
		a, err := branch.Advantage()
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", s, err)
		}
		for len(out) < t.Ends[s] {
			out = append(out, a)
		}
	}
	return out, nil
}
