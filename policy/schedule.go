package policy

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Shape is how a number goes from one value to another.
type Shape string

// The shapes.
const (
	// ShapeConstant stays at the first value.
	ShapeConstant Shape = "constant"
	// ShapeLinear goes in a line.
	ShapeLinear Shape = "linear"
	// ShapeCosine goes along half a cosine: Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
	ShapeCosine Shape = "cosine"
)

// blend is the value at done, in [0, 1], of the way between from and to.
func (s Shape) blend(from, to, done float64) float64 {
	switch s {
	case ShapeConstant:
		return from
	case ShapeLinear:
		return from + (to-from)*done
	default:
		return to + (from-to)*(1+math.Cos(math.Pi*done))/2
	}
}

// Curve is how a setting changes over a run, from a value of its own to To. The zero value leaves it as it is.
type Curve struct {
	// Shape is that of the way; "" leaves the setting alone.
	Shape Shape `json:"shape" yaml:"shape"`
	// To is the value of the last step, >= 0.
	To float64 `json:"to" yaml:"to"`
}

// Validate joins all faults; each wraps hone.ErrInvalid and prints the value.
func (c Curve) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("curve: "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	switch c.Shape {
	case "", ShapeConstant:
		if c.To != 0 {
			fault("to is %g, must be 0 without a shape that goes there; linear and cosine do", c.To)
		}
	case ShapeLinear, ShapeCosine:
		if !(c.To >= 0) || math.IsInf(c.To, 0) {
			fault("to is %g, must be at least 0", c.To)
		}
	default:
		fault("shape is %q, must be %q, %q or %q", c.Shape, ShapeConstant, ShapeLinear, ShapeCosine)
	}
	return errors.Join(faults...)
}

// At is the setting at a step, counted from 0, of so many: from at the first, To at the last and after it.
func (c Curve) At(from float64, step, total int) float64 {
	switch {
	case c.Shape == "" || step <= 0 || total <= 1:
		return from
	case step >= total-1 && c.Shape != ShapeConstant:
		return c.To
	}
	return c.Shape.blend(from, c.To, float64(step)/float64(total-1))
}

// Schedule is a learning rate that rises in a line for Warmup steps, then goes to Floor at Total, and stays there.
type Schedule struct {
	// Shape is how it goes after the rise; "" is cosine.
	Shape Shape `json:"shape" yaml:"shape"`
	// Warmup is the number of steps of the rise, at least 0, below Total.
	Warmup int `json:"warmup" yaml:"warmup"`
	// Total is the number of steps until Floor is reached, at least 1.
	Total int `json:"total" yaml:"total"`
	// Peak is the rate after the rise, > 0.
	Peak float64 `json:"peak" yaml:"peak"`
	// Floor is the last rate, in [0, Peak]. A constant shape never goes there.
	Floor float64 `json:"floor" yaml:"floor"`
}

// Validate joins all faults; each wraps hone.ErrInvalid and prints the value.
func (s Schedule) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("schedule: "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	if s.Total < 1 {
		fault("total is %d, must be at least 1", s.Total)
	}
	if s.Warmup < 0 || s.Warmup >= max(s.Total, 1) {
		fault("warmup is %d, must be at least 0 and below total %d", s.Warmup, s.Total)
	}
	if !(s.Peak > 0) || math.IsInf(s.Peak, 0) {
		fault("peak is %g, must be more than 0", s.Peak)
	}
	switch s.Shape {
	case "", ShapeConstant, ShapeLinear, ShapeCosine:
	default:
		fault("shape is %q, must be %q, %q or %q", s.Shape, ShapeConstant, ShapeLinear, ShapeCosine)
	}
	if !(s.Floor >= 0 && s.Floor <= s.Peak) {
		fault("floor is %g, must be from 0 to the peak %g", s.Floor, s.Peak)
	}
	return errors.Join(faults...)
}

// At is the rate of the step with this index, counted from 0. The first of the rise is Peak/Warmup, not 0.
func (s Schedule) At(step int) float64 {
	switch {
	case step < s.Warmup:
		return s.Peak * float64(step+1) / float64(s.Warmup)
	case step >= s.Total && s.Shape != ShapeConstant:
		return s.Floor
	}
	return s.Shape.blend(s.Peak, s.Floor, float64(step-s.Warmup)/float64(s.Total-s.Warmup))
}
