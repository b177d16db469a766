// Package stack builds the stack of reward layers that a configuration asks for. It stands apart from package reward because it
// imports the layers, which import that.
package stack

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/correctness"
	"github.com/hone-rl/hone/reward/efficiency"
	"github.com/hone-rl/hone/reward/noise"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/reward/step"
	"github.com/hone-rl/hone/task"
)

// noiseProb is the coin of the control experiment: fair, which is the most variance there is to learn from.
const noiseProb = 0.5

// Config is the stack: the first four fields, or a list of layers.
type Config struct {
	// Correctness is the reward of a right answer, >= 0. Where it is above 0 it must exceed Step and Efficiency together, so that
	// the worst right trajectory beats the best wrong one. A layer whose weight is 0 still judges, so that its breakdown can be read.
	Correctness float64 `json:"correctness" yaml:"correctness"`
	// Step is what a trajectory can lose by steps that are not good or by giving no answer, >= 0.
	Step float64 `json:"step" yaml:"step"`
	// Efficiency is what a right trajectory can lose by its length, >= 0.
	Efficiency float64 `json:"efficiency" yaml:"efficiency"`
	// Noise replaces all layers by a coin worth Correctness: the control experiment. Outcomes stay true.
	Noise bool `json:"noise" yaml:"noise"`
	// Layers replace the fields above where there are any, in the order in which they judge.
	Layers []LayerConfig `json:"layers,omitempty" yaml:"layers,omitempty"`
	// WrongMayWin allows a list of layers under which a wrong answer may earn more than a right one, or of which that can't be told.
	WrongMayWin bool `json:"wrong_may_win,omitempty" yaml:"wrong_may_win,omitempty"`
}

// DefaultConfig pays 1 for a right answer and takes at most 0.1 for steps and 0.05 for length.
func DefaultConfig() Config { return Config{Correctness: 1, Step: 0.1, Efficiency: 0.05} }

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	if len(c.Layers) > 0 {
		return c.validateLayers()
	}
	var faults []error
	for _, w := range []struct {
		name  string
		value float64
	}{{"correctness", c.Correctness}, {"step", c.Step}, {"efficiency", c.Efficiency}} {
		if !(w.value >= 0) || math.IsInf(w.value, 0) {
			faults = append(faults, fmt.Errorf("%s %v: must be finite and at least 0: %w", w.name, w.value, hone.ErrInvalid))
		}
	}
	switch {
	case c.Correctness == 0 && (c.Noise || c.Step == 0 && c.Efficiency == 0):
		faults = append(faults, fmt.Errorf("correctness %v, step %v, efficiency %v, noise %v: nothing would be rewarded: %w",
			c.Correctness, c.Step, c.Efficiency, c.Noise, hone.ErrInvalid))
	case c.Correctness > 0 && c.Step+c.Efficiency >= c.Correctness:
		faults = append(faults, fmt.Errorf(
			"correctness %v must exceed step %v and efficiency %v together, or a wrong answer may beat a right one: %w",
			c.Correctness, c.Step, c.Efficiency, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// New is [NewWith] where no reward model can be opened.
func New(cfg Config, t task.Task) (*reward.Stack, error) { return NewWith(cfg, t, nil) }

// NewWith is the stack for the task: the layers listed; or without a list correctness, step, efficiency, in this order; or noise alone.
// Open reads the reward models that layers ask.
func NewWith(cfg Config, t task.Task, open preference.Open) (*reward.Stack, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("reward configuration: %w", err)
	}
	if len(cfg.Layers) > 0 {
		return newStack(cfg.Layers, parts{task: t, open: open})
	}
	verifier := correctness.New(t)
	if cfg.Noise {
		coin, err := noise.New(verifier, noiseProb)
		if err != nil {
			return nil, err
		}
		return reward.NewStack(reward.Weighted{Layer: coin, Weight: cfg.Correctness})
	}
	length, err := efficiency.New(efficiency.DefaultConfig(), t)
	if err != nil {
		return nil, err
	}
	return reward.NewStack(
		reward.Weighted{Layer: verifier, Weight: cfg.Correctness},
		reward.Weighted{Layer: step.New(t), Weight: cfg.Step},
		reward.Weighted{Layer: length, Weight: cfg.Efficiency},
	)
}
