package policy

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Schedule is a learning rate that rises in a line for Warmup steps, then falls along half a cosine to Floor at Total, and stays there.
// Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
type Schedule struct {
	// Warmup is the number of steps of the rise, at least 0, below Total.
	Warmup int `json:"warmup" yaml:"warmup"`
	// Total is the number of steps until Floor is reached, at least 1.
	Total int `json:"total" yaml:"total"`
	// Peak is the rate after the rise, > 0.
	Peak float64 `json:"peak" yaml:"peak"`
	// Floor is the last rate, in [0, Peak]; equal to Peak it keeps the rate constant.
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
	case step >= s.Total:
		return s.Floor
	}
	done := float64(step-s.Warmup) / float64(s.Total-s.Warmup)
	return s.Floor + (s.Peak-s.Floor)*(1+math.Cos(math.Pi*done))/2
}
