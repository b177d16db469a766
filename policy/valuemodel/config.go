package valuemodel

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Config is how a value model is trained.
type Config struct {
	// Epochs is how many times training goes through the examples, >= 1.
	Epochs int `json:"epochs" yaml:"epochs"`
	// BatchTokens is the most tokens of one step of the optimiser, in [1, policy.MaxBatch]; each example must fit.
	BatchTokens int `json:"batch_tokens" yaml:"batch_tokens"`
	// LearningRate is the peak of the schedule, > 0, and Warmup the number of steps over which it rises to it, >= 0; it then falls to a
	// twentieth.
	LearningRate float64 `json:"learning_rate" yaml:"learning_rate"`
	Warmup       int     `json:"warmup" yaml:"warmup"`
	// ClipNorm is the largest norm of the gradient over all parameters, >= 0; 0 does not clip.
	ClipNorm float64 `json:"clip_norm" yaml:"clip_norm"`
}

// DefaultConfig goes through the examples twice, at the rate at which a policy of a million parameters imitates.
func DefaultConfig() Config {
	return Config{Epochs: 2, BatchTokens: 4096, LearningRate: 1e-3, Warmup: 20, ClipNorm: 1}
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("value model: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	want(c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(c.BatchTokens >= 1 && c.BatchTokens <= policy.MaxBatch, "batch_tokens", c.BatchTokens, fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	want(c.LearningRate > 0 && !math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate, "above 0")
	want(c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(c.ClipNorm >= 0 && !math.IsInf(c.ClipNorm, 0), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(errs...)
}

// schedule lays the learning rate over all steps.
func (c Config) schedule(steps int) policy.Schedule {
	return policy.Schedule{Warmup: min(c.Warmup, max(steps-1, 0)), Total: steps, Peak: c.LearningRate, Floor: c.LearningRate / 20}
}
