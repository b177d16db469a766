package task

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hone-rl/hone"
)

// Style is a manner of demonstrating.
type Style string

// The styles of demonstrations. Every step of every style is good: parsed, true and legal.
const (
	// StyleSolve is a shortest solution, chosen by the generator.
	StyleSolve Style = "solve"
	// StyleWalk is random steps to wherever they lead, and then the answer they composed with its true value, seldom the target:
	// it teaches format and arithmetic, not the game.
	StyleWalk Style = "walk"
	// StyleRetry is one or more failing branches, each given up by a step that returns to an earlier state, and then a solution.
	StyleRetry Style = "retry"
	// StyleSearch is a depth-first search in the text: at each state steps that lead nowhere are taken and given up, some at once
	// and some after a look around, until one that leads on is taken. Unlike in [StyleRetry] no step is repeated, and whether to go
	// on is a matter of the state alone, so a policy can learn it.
	StyleSearch Style = "search"
)

// Demonstrator writes completions to imitate.
type Demonstrator interface {
	// Demonstrate writes a completion of the problem in the style, the same for the same generator state. It returns
	// [hone.ErrInvalid] for an unknown style or a problem that is kept for evaluation, and [hone.ErrNotFound] when the style
	// needs a solution and there is none. The generator is the caller's and must not be shared between goroutines.
	Demonstrate(p hone.Problem, rng *rand.Rand, style Style) (completion string, err error)
}

// Traces says what demonstrations in arithmetic look like, so that a small model can learn them.
type Traces struct {
	// ProbFraction is the probability, a step, of seeking a result that is no integer, in [0, 1]. Where the solution leaves no
	// choice the result is what it must be, here and below.
	ProbFraction float64 `json:"prob_fraction" yaml:"prob_fraction"`
	// ProbNegative is the probability, a step, of seeking a negative integer, in [0, 1]; the two probabilities sum to at most 1.
	ProbNegative float64 `json:"prob_negative" yaml:"prob_negative"`
	// MaxResult bounds the magnitude of results that are sought, >= 1.
	MaxResult int `json:"max_result" yaml:"max_result"`
	// MaxRetries bounds the branches that [StyleRetry] and [StyleSearch] give up, in [1, 64]; the number is uniform from 1 in the
	// former, and what chance makes it in the latter.
	MaxRetries int `json:"max_retries" yaml:"max_retries"`
}

// DefaultTraces has one result in twenty a fraction and one in twenty negative, results up to 255 (the largest integer that is
// one token of the arithmetic vocabulary), and up to three branches given up, which fits a context of 512 tokens.
func DefaultTraces() Traces {
	return Traces{ProbFraction: 0.05, ProbNegative: 0.05, MaxResult: 255, MaxRetries: 3}
}

// Validate reports every field that is out of range.
func (t Traces) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if !(t.ProbFraction >= 0 && t.ProbFraction <= 1) {
		bad("prob_fraction %v: must be in [0, 1]", t.ProbFraction)
	}
	if !(t.ProbNegative >= 0 && t.ProbNegative <= 1) {
		bad("prob_negative %v: must be in [0, 1]", t.ProbNegative)
	}
	if sum := t.ProbFraction + t.ProbNegative; sum > 1 && !math.IsInf(sum, 0) {
		bad("prob_fraction %v and prob_negative %v: must sum to at most 1", t.ProbFraction, t.ProbNegative)
	}
	if t.MaxResult < 1 {
		bad("max_result %d: must be at least 1", t.MaxResult)
	}
	if t.MaxRetries < 1 || t.MaxRetries > 64 {
		bad("max_retries %d: must be in [1, 64]", t.MaxRetries)
	}
	return errors.Join(faults...)
}
