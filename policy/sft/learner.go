package sft

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// Learner fits one policy's parameters again and again, as where each cycle of a run brings new examples. It owns the graph and
// the loss in it. It is not safe for concurrent use.
type Learner struct {
	params  *policy.Params
	set     *kernel.Set
	loss    *policy.CrossEntropy
	trainer *policy.Trainer
}

// NewLearner makes a learner that changes params in place. c gives what is part of the graph: Checkpoint.
func NewLearner(params *policy.Params, set *kernel.Set, c Config) (*Learner, error) {
	loss := policy.NewCrossEntropy()
	trainer, err := policy.NewTrainer(params, set, policy.TrainerOptions{Loss: loss, Checkpoint: c.Checkpoint})
	if err != nil {
		return nil, fmt.Errorf("sft trainer: %w", err)
	}
	return &Learner{params: params, set: set, loss: loss, trainer: trainer}, nil
}

// UpdateInput is what one update of many is a function of, beside the parameters.
type UpdateInput struct {
	// Config must be valid. Its schedule is its caller's to lay over the updates: LearningRate and Warmup are not read here.
	Config Config
	// Optimizer holds the moments, which go on from update to update.
	Optimizer *policy.AdamW
	// LearningRate is that of all steps of the update, > 0.
	LearningRate float64
	Examples     []Example
	// Seed decides the order of the examples.
	Seed uint64
	// Progress, if not nil, is called after each step.
	Progress func(Progress)
}

// Update goes through the examples Config.Epochs times. It is to [Fit] what a cycle is to a whole run: the same steps, with the
// moments and the learning rate handed in. Errors are Fit's.
func (l *Learner) Update(ctx context.Context, in UpdateInput) (Result, error) {
	errs := []error{in.Config.Validate()}
	if in.Optimizer == nil {
		errs = append(errs, fmt.Errorf("sft update: no optimiser: %w", hone.ErrInvalid))
	}
	if !(in.LearningRate > 0) || math.IsInf(in.LearningRate, 0) {
		errs = append(errs, fmt.Errorf("sft update: learning rate is %v, must be above 0: %w", in.LearningRate, hone.ErrInvalid))
	}
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	if err := validateAll(in.Examples, in.Config.BatchTokens); err != nil {
		return Result{}, err
	}
	steps, lastEpoch := plan(in.Examples, in.Config, in.Seed)
	return l.descend(ctx, descent{
		examples: in.Examples, steps: steps, lastEpoch: lastEpoch,
		optimizer: in.Optimizer, rate: func(int) float64 { return in.LearningRate }, progress: in.Progress,
	})
}

// descent is a number of steps to take, each of which names its examples.
type descent struct {
	examples  []Example
	steps     [][]int
	lastEpoch int
	optimizer *policy.AdamW
	// rate is the learning rate of each step.
	rate     func(step int) float64
	progress func(Progress)
}

// descend takes the steps.
func (l *Learner) descend(ctx context.Context, d descent) (result Result, err error) {
	epochLoss, epochTokens := 0.0, 0
	for i, step := range d.steps {
		batch, weights, tokens := pack(d.examples, step)
		l.loss.Set(weights)
		l.trainer.ZeroGrads()
		value, err := l.trainer.Gradient(ctx, batch)
		var norm float64
		if err == nil {
			norm, err = d.optimizer.Step(l.set, l.params, l.trainer.Grads(), d.rate(i))
		}
		if err != nil {
			return Result{}, fmt.Errorf("sft step %d of %d: %w", i, len(d.steps), err)
		}
		l.trainer.MoveBiases()
		if i >= d.lastEpoch {
			result.Usage.Merge(l.trainer.Usage())
			epochLoss, epochTokens = epochLoss+value*float64(tokens), epochTokens+tokens
		}
		result.add(value, norm, tokens)
		if d.progress != nil {
			d.progress(Progress{Step: result.Steps, Steps: len(d.steps), Loss: value, Tokens: result.Tokens})
		}
	}
	result.LastEpochLoss = epochLoss / float64(epochTokens)
	return result, nil
}
