package rewardmodel

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Config is how a reward model is trained.
type Config struct {
	// CenterCoef weighs (r_w + r_l)^2, >= 0: it holds the scores of all prompts around 0. Eisenstein et al. 2023, arXiv:2312.09244, eq. 2.
	CenterCoef float64 `yaml:"center_coef" json:"center_coef"`
	// Epochs is how many times training goes through the pairs, >= 1. More than a few learn the pairs by heart.
	Epochs int `yaml:"epochs" json:"epochs"`
	// BatchPairs is the number of pairs of one step of the optimiser, >= 1.
	BatchPairs int `yaml:"batch_pairs" json:"batch_pairs"`
	// BatchTokens is the most tokens that go through the graph at once, in [1, policy.MaxBatch]; each pair must fit. It bounds memory and
	// changes no result but by rounding.
	BatchTokens int `yaml:"batch_tokens" json:"batch_tokens"`
	// LearningRate is the peak of the schedule, > 0, and Warmup the number of steps over which it rises to it, >= 0; it then falls to a
	// tenth.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	Warmup       int     `yaml:"warmup" json:"warmup"`
	// ClipNorm is the largest norm of the gradient over all parameters, >= 0; 0 does not clip.
	ClipNorm float64 `yaml:"clip_norm" json:"clip_norm"`
}

// DefaultConfig goes through the pairs twice; the weight of the second term is that of its paper.
func DefaultConfig() Config {
	return Config{CenterCoef: 0.01, Epochs: 2, BatchPairs: 32, BatchTokens: 4096, LearningRate: 3e-4, Warmup: 10, ClipNorm: 1}
}

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("reward model: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	want(atLeastZero(c.CenterCoef), "center_coef", c.CenterCoef, "at least 0")
	want(c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(c.BatchPairs >= 1, "batch_pairs", c.BatchPairs, "at least 1")
	want(c.BatchTokens >= 1 && c.BatchTokens <= policy.MaxBatch, "batch_tokens", c.BatchTokens, fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	want(c.LearningRate > 0 && !math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate, "above 0")
	want(c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(atLeastZero(c.ClipNorm), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(errs...)
}

// schedule lays the learning rate over all steps.
func (c Config) schedule(steps int) policy.Schedule {
	return policy.Schedule{Warmup: min(c.Warmup, max(steps-1, 0)), Total: steps, Peak: c.LearningRate, Floor: c.LearningRate / 10}
}
