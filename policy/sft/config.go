package sft

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Config is how demonstrations are learned. The zero value is not valid; start from [DefaultConfig].
type Config struct {
	// Epochs is how many times each example is seen, >= 1.
	Epochs int `yaml:"epochs" json:"epochs"`
	// BatchTokens is the most tokens, prompts included, of one step, in [1, policy.MaxBatch]. Every example must fit.
	BatchTokens int `yaml:"batch_tokens" json:"batch_tokens"`
	// Checkpoint computes each layer twice to hold less memory, see policy.TrainerOptions. It changes no bit of a result.
	Checkpoint bool `yaml:"checkpoint" json:"checkpoint"`
	// LearningRate is the peak of the schedule, > 0: it rises over the warm-up and falls along a cosine to a tenth.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	// Warmup is the number of steps over which the rate rises, >= 0.
	Warmup int `yaml:"warmup" json:"warmup"`
	// WeightDecay pulls matrices towards zero, >= 0, apart from the gradient (Loshchilov and Hutter 2019, arXiv:1711.05101).
	WeightDecay float64 `yaml:"weight_decay" json:"weight_decay"`
	// ConstraintCoef weighs the unlikelihood of examples that are forbidden, >= 0: a verifier says what must not be written, which no
	// demonstration of what is right can say. 0 refuses such examples.
	ConstraintCoef float64 `yaml:"constraint_coef" json:"constraint_coef,omitempty"`
	// DiversityCoef weighs a bonus for entropy over the learned tokens, >= 0, in nats of loss a nat. A problem has many solutions and its few
	// demonstrations show some: the bonus keeps the others possible, for reinforcement to find, that cross-entropy would close.
	DiversityCoef float64 `yaml:"diversity_coef" json:"diversity_coef,omitempty"`
	// ClipNorm is the largest norm of the gradient over all parameters, >= 0; 0 does not clip.
	ClipNorm float64 `yaml:"clip_norm" json:"clip_norm"`
}

// DefaultConfig suits policies of a million parameters and some thousands of short demonstrations.
func DefaultConfig() Config {
	return Config{Epochs: 4, BatchTokens: 4096, LearningRate: 2e-3, Warmup: 20, WeightDecay: 0.01, ClipNorm: 1}
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("sft: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	want(c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(c.BatchTokens >= 1 && c.BatchTokens <= policy.MaxBatch, "batch_tokens", c.BatchTokens,
		fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	want(c.LearningRate > 0 && !math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate, "above 0")
	want(c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(atLeastZero(c.WeightDecay), "weight_decay", c.WeightDecay, "at least 0")
	want(atLeastZero(c.ConstraintCoef), "constraint_coef", c.ConstraintCoef, "at least 0")
	want(atLeastZero(c.DiversityCoef), "diversity_coef", c.DiversityCoef, "at least 0")
	want(atLeastZero(c.ClipNorm), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(errs...)
}

// AdamW is the optimiser that c describes.
func (c Config) AdamW() policy.AdamWConfig {
	a := policy.DefaultAdamWConfig()
	a.WeightDecay, a.ClipNorm = c.WeightDecay, c.ClipNorm
	return a
}

// Schedule is the learning rate over the given number of steps, or of updates where it moves once an update. A warm-up longer than the
// whole is cut to fit.
func (c Config) Schedule(steps int) policy.Schedule {
	return policy.Schedule{Warmup: min(c.Warmup, max(steps-1, 0)), Total: steps, Peak: c.LearningRate, Floor: c.LearningRate / 10}
}
