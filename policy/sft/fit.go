package sft

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// Input is what fitting is a function of.
type Input struct {
	// Params are changed in place.
	Params *policy.Params
	Set    *kernel.Set
	// Config must be valid.
	Config Config
	// Examples are seen in an order that Seed decides.
	Examples []Example
	Seed     uint64
	// Progress, if not nil, is called after each step.
	Progress func(Progress)
}

// Progress is how far fitting has come.
type Progress struct {
	// Step of Steps are done.
	Step, Steps int
	// Loss is the last step's mean cross-entropy, in nats a token.
	Loss float64
	// Tokens is the number of completion tokens learned from so far.
	Tokens int
}

// Result is what fitting says of itself. Losses are mean cross-entropies in nats a token, each taken before its step, whatever else is
// in the loss.
type Result struct {
	// Steps is the number of steps of the optimiser.
	Steps int `json:"steps"`
	// Tokens is the number of completion tokens learned from, over all epochs.
	Tokens int `json:"tokens"`
	// FirstLoss and LastLoss are those of the first and the last step.
	FirstLoss float64 `json:"first_loss"`
	LastLoss  float64 `json:"last_loss"`
	// LastEpochLoss is the mean over the tokens of the last epoch.
	LastEpochLoss float64 `json:"last_epoch_loss"`
	// Entropy is the mean over the learned tokens of the last epoch, in nats, and ConstraintLoss that of -log(1 - P) over its forbidden
	// completions; both 0 where neither a constraint nor diversity is asked for.
	Entropy        float64 `json:"entropy"`
	ConstraintLoss float64 `json:"constraint_loss"`
	// GradNorm and GradNormMax are the mean and the largest norm of the gradient over all parameters, before clipping.
	GradNorm    float64 `json:"grad_norm"`
	GradNormMax float64 `json:"grad_norm_max"`
	// Usage is what the routers did with all tokens of the last epoch, prompts included; nothing without experts.
	Usage policy.Usage `json:"-"`
}

// Fit minimises the mean cross-entropy of the examples' completions, with the terms that the configuration adds, by AdamW, with moments of
// its own that start at zero and are not kept, along the schedule that the configuration describes. The parameters come out the same,
// bit for bit, for the same input.
//
// A configuration or an example out of range, and no examples at all, are [hone.ErrInvalid] before anything is changed. A loss or a
// gradient that isn't finite is [hone.ErrNonFinite]; after that, or when ctx is done, the parameters are in between.
func Fit(ctx context.Context, in Input) (Result, error) {
	if err := in.validate(); err != nil {
		return Result{}, err
	}
	learner, err := NewLearner(in.Params, in.Set, in.Config)
	if err != nil {
		return Result{}, err
	}
	optimizer, err := policy.NewAdamW(in.Params, in.Config.AdamW())
	if err != nil {
		return Result{}, fmt.Errorf("sft optimiser: %w", err)
	}
	steps, lastEpoch := plan(in.Examples, in.Config, in.Seed)
	return learner.descend(ctx, descent{
		config: in.Config, examples: in.Examples, steps: steps, lastEpoch: lastEpoch,
		optimizer: optimizer, rate: in.Config.Schedule(len(steps)).At, progress: in.Progress,
	})
}

// add takes a step into the result.
func (r *Result) add(loss, norm float64, tokens int) {
	if r.Steps == 0 {
		r.FirstLoss = loss
	}
	r.Steps++
	r.Tokens += tokens
	r.LastLoss, r.GradNormMax = loss, max(r.GradNormMax, norm)
	r.GradNorm += (norm - r.GradNorm) / float64(r.Steps)
}

// validate checks the configuration and every example.
func (in Input) validate() error {
	if err := in.Config.Validate(); err != nil {
		return err
	}
	return validateAll(in.Examples, in.Config)
}

// validateAll checks that there are examples and that each fits a step.
func validateAll(examples []Example, c Config) error {
	if len(examples) == 0 {
		return fmt.Errorf("sft: no examples: %w", hone.ErrInvalid)
	}
	for i, e := range examples {
		if err := e.validate(c); err != nil {
			return fmt.Errorf("sft example %d: %w", i, err)
		}
	}
	return nil
}
