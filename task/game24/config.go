package game24

import (
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// Config says which problems there are to train on and what demonstrations look like. The held-out problems do not depend on it.
type Config struct {
	// Wide is how many puzzles to add to training beyond those of four numbers up to 13, >= 0: solvable ones of four numbers up to
	// WideFour and of three up to WideThree. More than there are means all.
	Wide int `json:"wide" yaml:"wide"`
	// WideFour is the largest number of a wide puzzle of four, in [0, 99]; 13 and less means no such puzzles.
	WideFour int `json:"wide_four" yaml:"wide_four"`
	// WideThree is the largest number of a wide puzzle of three, in [0, 99]; 0 means no such puzzles.
	WideThree int `json:"wide_three" yaml:"wide_three"`
	// Seed chooses which wide puzzles are taken where not all are.
	Seed uint64 `json:"seed" yaml:"seed"`
	// Traces shapes demonstrations.
	Traces task.Traces `json:"traces" yaml:"traces"`
	// Yao is the puzzles of [SplitYao], as [YaoPuzzles] picks them; empty when the list is not at hand. They are kept out of
	// training, so a run's training set depends on whether they were given: record its [task.Digest]. They are stored with a run, so that
	// whoever works on it makes the same problems, and are no part of a configuration file.
	Yao [][]int `json:"yao,omitempty" yaml:"-"`
}

// DefaultConfig adds 20,000 of the 23,589 wide puzzles of four numbers up to 30 and three up to 60.
func DefaultConfig() Config {
	return Config{Wide: 20000, WideFour: 30, WideThree: 60, Traces: task.DefaultTraces()}
}

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var faults []error
	if c.Wide < 0 {
		faults = append(faults, fmt.Errorf("wide %d: must be at least 0: %w", c.Wide, hone.ErrInvalid))
	}
	for _, bound := range []struct {
		name  string
		value int
	}{{"wide_four", c.WideFour}, {"wide_three", c.WideThree}} {
		if bound.value < 0 || bound.value > largest {
			faults = append(faults, fmt.Errorf("%s %d: must be in [0, %d]: %w", bound.name, bound.value, largest, hone.ErrInvalid))
		}
	}
	if err := c.Traces.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("traces: %w", err))
	}
	for i, puzzle := range c.Yao {
		if err := standard(puzzle); err != nil {
			faults = append(faults, fmt.Errorf("yao puzzle %d: %w", i, err))
		}
	}
	return errors.Join(faults...)
}
