package countdown

import (
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/internal/numbers"
)

// Config says which problems are generated and what demonstrations look like.
type Config struct {
	// Seed generates the problems. Another seed gives other held-out problems.
	Seed uint64 `json:"seed" yaml:"seed"`
	// Train is how many problems [hone.SplitTrain] has, in [0, 1000000].
	Train int `json:"train" yaml:"train"`
	// HeldOut is how many problems [hone.SplitHeldOut] has, in [0, 1000000]. They do not depend on Train.
	HeldOut int `json:"held_out" yaml:"held_out"`
	// MinNumbers and MaxNumbers bound how many numbers a problem has, in [3, 6]; the count is uniform between them.
	MinNumbers int `json:"min_numbers" yaml:"min_numbers"`
	MaxNumbers int `json:"max_numbers" yaml:"max_numbers"`
	// MaxNumber bounds the numbers, which are uniform from 1, in [10, 999].
	MaxNumber int `json:"max_number" yaml:"max_number"`
	// MinTarget and MaxTarget bound the targets, the second in [10, 99999] and the first in [0, MaxTarget]; 0 is 1.
	MinTarget int `json:"min_target,omitempty" yaml:"min_target"`
	MaxTarget int `json:"max_target" yaml:"max_target"`
	// UseAll asks for every number to be used, exactly once, as in Stream of Search (Gandhi et al. 2024); else some may stay unused.
	UseAll bool `json:"use_all,omitempty" yaml:"use_all"`
	// Traces shapes demonstrations.
	Traces task.Traces `json:"traces" yaml:"traces"`
}

// DefaultConfig is 20,000 problems to train on and 300 held out, three to six numbers up to 99 and targets up to 255, the largest
// integer that is one token of the arithmetic vocabulary.
func DefaultConfig() Config {
	return Config{
		Train: 20000, HeldOut: 300, MinNumbers: 3, MaxNumbers: numbers.Most, MaxNumber: 99, MaxTarget: 255, Traces: task.DefaultTraces(),
	}
}

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var faults []error
	within := func(name string, value, least, most int) {
		if value < least || value > most {
			faults = append(faults, fmt.Errorf("%s %d: must be in [%d, %d]: %w", name, value, least, most, hone.ErrInvalid))
		}
	}
	within("train", c.Train, 0, 1e6)
	within("held_out", c.HeldOut, 0, 1e6)
	within("min_numbers", c.MinNumbers, fewest, numbers.Most)
	within("max_numbers", c.MaxNumbers, fewest, numbers.Most)
	if c.MinNumbers > c.MaxNumbers {
		faults = append(faults, fmt.Errorf("min_numbers %d and max_numbers %d: the first must not exceed the second: %w",
			c.MinNumbers, c.MaxNumbers, hone.ErrInvalid))
	}
	within("max_number", c.MaxNumber, 10, largestNumber)
	within("max_target", c.MaxTarget, 10, largestTarget)
	within("min_target", c.MinTarget, 0, max(c.MaxTarget, 0))
	if err := c.Traces.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("traces: %w", err))
	}
	return errors.Join(faults...)
}
