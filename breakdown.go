package hone

import (
	"fmt"
	"math"
)

// Outcome is a verifier's finding. Only right and wrong are judgements; the others are counted and never trained on as zero.
// Values are stored; append only.
type Outcome string

// The five outcomes.
const (
	OutcomeRight      Outcome = "right"
	OutcomeWrong      Outcome = "wrong"
	OutcomeUnparsable Outcome = "unparsable"
	OutcomeTimeout    Outcome = "timeout"
	OutcomeCrashed    Outcome = "crashed"
)

// Judged tells whether the outcome is a judgement of the answer.
func (o Outcome) Judged() bool { return o == OutcomeRight || o == OutcomeWrong }

// Term is what one layer gives to one step, with the reason in words.
type Term struct {
	// Step is the index of the step the term lands on.
	Step int `json:"step"`
	// Score is the layer's own judgement before its weight; its range is the layer's to say.
	Score float64 `json:"score"`
	// Reason says why, for a person.
	Reason string `json:"reason"`
}

// LayerScore is one layer's part of a breakdown.
type LayerScore struct {
	// Layer is the layer's name, such as "correctness".
	Layer string `json:"layer"`
	// Weight multiplies every term's score.
	Weight float64 `json:"weight"`
	// Terms are in step order; a step without a term got nothing from this layer.
	Terms []Term `json:"terms"`
}

// Total is the layer's weighted sum.
func (l LayerScore) Total() float64 {
	sum := 0.0
	for _, t := range l.Terms {
		sum += t.Score
	}
	return l.Weight * sum
}

// Breakdown is a trajectory's reward: layer by layer, step by step. It is never one number; Total is the sum of what it shows.
type Breakdown struct {
	// Outcome is the verifier's finding on the answer.
	Outcome Outcome `json:"outcome"`
	// Layers are in the order of the stack.
	Layers []LayerScore `json:"layers"`
	// Steps is the number of steps of the trajectory judged.
	Steps int `json:"steps"`
}

// Total is the sum of all layers' totals.
func (b Breakdown) Total() float64 {
	sum := 0.0
	for _, l := range b.Layers {
		sum += l.Total()
	}
	return sum
}

// StepRewards is [S]: for each step the weighted sum over layers. Its sum is Total.
func (b Breakdown) StepRewards() []float64 {
	out := make([]float64, b.Steps)
	for _, l := range b.Layers {
		for _, t := range l.Terms {
			out[t.Step] += l.Weight * t.Score
		}
	}
	return out
}

// Validate reports a term off the steps or a number that isn't finite.
func (b Breakdown) Validate() error {
	for _, l := range b.Layers {
		if math.IsNaN(l.Weight) || math.IsInf(l.Weight, 0) {
			return fmt.Errorf("layer %s: weight %v: %w", l.Layer, l.Weight, ErrNonFinite)
		}
		for _, t := range l.Terms {
			if t.Step < 0 || t.Step >= b.Steps {
				return fmt.Errorf("layer %s: term on step %d of %d: %w", l.Layer, t.Step, b.Steps, ErrInvalid)
			}
			if math.IsNaN(t.Score) || math.IsInf(t.Score, 0) {
				return fmt.Errorf("layer %s: step %d: score %v: %w", l.Layer, t.Step, t.Score, ErrNonFinite)
			}
		}
	}
	return nil
}

// Scored is a trajectory with its reward.
type Scored struct {
	Trajectory Trajectory `json:"trajectory"`
	Breakdown  Breakdown  `json:"breakdown"`
}
