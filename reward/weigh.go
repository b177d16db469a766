package reward

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
)

// Gate says of which trajectories a layer counts. A gated layer judges all of them, and its weight is 0 where it doesn't count.
type Gate string

// The gates.
const (
	// Always is no gate.
	Always Gate = ""
	// WhenRight counts a layer only where the answer is right, WhenWrong only where it is wrong.
	WhenRight Gate = "right"
	WhenWrong Gate = "wrong"
)

// opens tells whether the layer counts for that outcome.
func (g Gate) opens(o hone.Outcome) bool { return g == Always || string(g) == string(o) }

// Normalise says what a layer's scores are divided by.
type Normalise string

// The units of scores.
const (
	// AsScored leaves scores as they are.
	AsScored Normalise = ""
	// PerStep divides by the number of steps.
	PerStep Normalise = "steps"
	// PerGroup divides by the standard deviation (n - 1) of the layer's total over the samples of one problem; where that is below
	// 1e-6 or the problem has one sample, scores stay as they are. It takes all samples at once: see [Stack.NormaliseGroup].
	PerGroup Normalise = "group"
)

// Bounds are where a layer's total is held, before its weight.
type Bounds struct {
	Low  float64 `json:"low" yaml:"low"`
	High float64 `json:"high" yaml:"high"`
}

// Knot is a point of a schedule.
type Knot struct {
	// Cycle is the iteration at which the factor is reached, >= 0.
	Cycle int `json:"cycle" yaml:"cycle"`
	// Factor multiplies the weight, >= 0.
	Factor float64 `json:"factor" yaml:"factor"`
}

// Schedule is a factor of a weight over the cycles of a run: linear between knots, constant before the first and after the last. None
// is 1.
type Schedule []Knot

// At is the factor at a cycle.
func (s Schedule) At(cycle int) float64 {
	if len(s) == 0 {
		return 1
	}
	if cycle <= s[0].Cycle {
		return s[0].Factor
	}
	for i := 1; i < len(s); i++ {
		if a, b := s[i-1], s[i]; cycle < b.Cycle {
			return a.Factor + (b.Factor-a.Factor)*float64(cycle-a.Cycle)/float64(b.Cycle-a.Cycle)
		}
	}
	return s[len(s)-1].Factor
}

// Weighted is a layer, what its scores are multiplied by, and when.
type Weighted struct {
	Layer Layer
	// Weight is finite and >= 0.
	Weight float64
	// Gate says where the layer counts.
	Gate Gate
	// Clip holds the layer's total within bounds; nil is none. What it takes off lands on the layer's last term.
	Clip *Bounds
	// Normalise says what scores are divided by; it comes after Clip.
	Normalise Normalise
	// Schedule is a factor of Weight over cycles.
	Schedule Schedule
}

// Validate reports every fault.
func (w Weighted) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("reward layer %q: "+format+": %w", append(append([]any{w.Layer.Name()}, args...), hone.ErrInvalid)...))
	}
	if !finite(w.Weight) || w.Weight < 0 {
		bad("weight %v: must be finite and at least 0", w.Weight)
	}
	if !slices.Contains([]Gate{Always, WhenRight, WhenWrong}, w.Gate) {
		bad("when %q: want %q or %q, or nothing", w.Gate, WhenRight, WhenWrong)
	}
	if !slices.Contains([]Normalise{AsScored, PerStep, PerGroup}, w.Normalise) {
		bad("normalise %q: want %q or %q, or nothing", w.Normalise, PerStep, PerGroup)
	}
	if c := w.Clip; c != nil && !(finite(c.Low) && finite(c.High) && c.Low <= c.High) {
		bad("clip from %v to %v: must be finite and in order", c.Low, c.High)
	}
	for i, k := range w.Schedule {
		if k.Cycle < 0 || !finite(k.Factor) || k.Factor < 0 || i > 0 && k.Cycle <= w.Schedule[i-1].Cycle {
			bad("schedule: factor %v at cycle %d: want rising cycles from 0 and finite factors of at least 0", k.Factor, k.Cycle)
		}
	}
	return errors.Join(faults...)
}

// judged turns a judgement into the layer's part of a breakdown of that outcome.
func (w Weighted) judged(j Judgement, b *hone.Breakdown, cycle int) hone.LayerScore {
	out := hone.LayerScore{Layer: w.Layer.Name(), Weight: w.Weight * w.Schedule.At(cycle), Terms: w.clipped(j.Terms)}
	if out.Terms == nil { // one spelling for none
		out.Terms = []hone.Term{}
	}
	if !w.Gate.opens(b.Outcome) {
		out.Weight = 0
	}
	if w.Normalise == PerStep && b.Steps > 0 {
		out.Weight /= float64(b.Steps)
	}
	return out
}

// clipped holds the sum of the terms within the bounds.
func (w Weighted) clipped(terms []hone.Term) []hone.Term {
	if w.Clip == nil || len(terms) == 0 {
		return terms
	}
	total := hone.LayerScore{Weight: 1, Terms: terms}.Total()
	held := max(w.Clip.Low, min(w.Clip.High, total))
	if held == total {
		return terms
	}
	terms = slices.Clone(terms)
	last := &terms[len(terms)-1]
	last.Score += held - total
	last.Reason += fmt.Sprintf("; the total of %.4g is held at %.4g", total, held)
	return terms
}

// Grouped tells whether a layer is normalised over the samples of a problem.
func (s *Stack) Grouped() bool {
	return slices.ContainsFunc(s.layers, func(w Weighted) bool { return w.Normalise == PerGroup })
}

// NormaliseGroup divides the weights of layers that are normalised over a group by the deviation of their totals. The breakdowns are
// those that Score gave for all samples of one problem; they are changed in place, once.
func (s *Stack) NormaliseGroup(group []hone.Breakdown) {
	if len(group) < 2 {
		return
	}
	const least = 1e-6
	for i, w := range s.layers {
		if w.Normalise != PerGroup {
			continue
		}
		totals := make([]float64, len(group))
		mean, square := 0.0, 0.0
		for j, b := range group {
			totals[j] = hone.LayerScore{Weight: 1, Terms: b.Layers[i].Terms}.Total()
			mean += totals[j] / float64(len(group))
		}
		for _, total := range totals {
			square += (total - mean) * (total - mean)
		}
		deviation := math.Sqrt(square / float64(len(group)-1))
		if deviation < least {
			continue
		}
		for _, b := range group {
			b.Layers[i].Weight /= deviation
		}
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
