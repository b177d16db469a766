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

// Result is what fitting says of itself. Losses are mean cross-entropies in nats a token, each taken before its step.
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
	// GradNormMax is the largest norm of the gradient over all parameters, before clipping.
	GradNormMax float64 `json:"grad_norm_max"`
	// Usage is what the routers did with all tokens of the last epoch, prompts included; nothing without experts.
	Usage policy.Usage `json:"-"`
}

// Fit minimises the mean cross-entropy of the examples' completions by AdamW, with moments of its own that start at zero and are
// not kept. The parameters come out the same, bit for bit, for the same input.
//
// A configuration or an example out of range, and no examples at all, are [hone.ErrInvalid] before anything is changed. A loss or a
// gradient that isn't finite is [hone.ErrNonFinite]; after that, or when ctx is done, the parameters are in between.
func Fit(ctx context.Context, in Input) (result Result, err error) {
	if err := in.validate(); err != nil {
		return Result{}, err
	}
	loss := policy.NewCrossEntropy()
	trainer, err := policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{Loss: loss, Checkpoint: in.Config.Checkpoint})
	if err != nil {
		return Result{}, fmt.Errorf("sft trainer: %w", err)
	}
	optimizer, err := policy.NewAdamW(in.Params, in.Config.adamW())
	if err != nil {
		return Result{}, fmt.Errorf("sft optimiser: %w", err)
	}

	steps, lastEpoch := plan(in.Examples, in.Config, in.Seed)
	schedule := in.Config.schedule(len(steps))
	epochLoss, epochTokens := 0.0, 0
	for i, step := range steps {
		batch, weights, tokens := pack(in.Examples, step)
		loss.Set(weights)
		trainer.ZeroGrads()
		value, err := trainer.Gradient(ctx, batch)
		var norm float64
		if err == nil {
			norm, err = optimizer.Step(in.Set, in.Params, trainer.Grads(), schedule.At(i))
		}
		if err != nil {
			return Result{}, fmt.Errorf("sft step %d of %d: %w", i, len(steps), err)
		}
		trainer.MoveBiases()
		if i >= lastEpoch {
			result.Usage.Merge(trainer.Usage())
			epochLoss, epochTokens = epochLoss+value*float64(tokens), epochTokens+tokens
		}
		result.add(value, norm, tokens)
		if in.Progress != nil {
			in.Progress(Progress{Step: result.Steps, Steps: len(steps), Loss: value, Tokens: result.Tokens})
		}
	}
	result.LastEpochLoss = epochLoss / float64(epochTokens)
	return result, nil
}

// add takes a step into the result.
func (r *Result) add(loss, norm float64, tokens int) {
	if r.Steps == 0 {
		r.FirstLoss = loss
	}
	r.Steps++
	r.Tokens += tokens
	r.LastLoss, r.GradNormMax = loss, max(r.GradNormMax, norm)
}

// validate checks the configuration and every example.
func (in Input) validate() error {
	if err := in.Config.Validate(); err != nil {
		return err
	}
	if len(in.Examples) == 0 {
		return fmt.Errorf("sft: no examples: %w", hone.ErrInvalid)
	}
	for i, e := range in.Examples {
		if err := e.validate(in.Config.BatchTokens); err != nil {
			return fmt.Errorf("sft example %d: %w", i, err)
		}
	}
	return nil
}
