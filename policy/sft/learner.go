package sft

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/phase"
)

// Learner fits one policy's parameters again and again, as where each cycle of a run brings new examples. It owns the graph and
// the loss in it. It is not safe for concurrent use.
type Learner struct {
	params  *policy.Params
	set     *kernel.Set
	trainer *policy.Trainer
	// plain is the loss of cross-entropy alone, nil where there are other terms.
	plain *policy.CrossEntropy
	// now is what the composite loss reads of the step that runs, and where it leaves what it saw.
	now struct {
		loss  composite
		spans []span
		saw   seen
	}
}

// NewLearner makes a learner that changes params in place. c gives what is part of the graph: Checkpoint, and whether the loss has terms
// beside the cross-entropy.
func NewLearner(params *policy.Params, set *kernel.Set, c Config) (*Learner, error) {
	l := &Learner{params: params, set: set}
	var loss policy.Loss
	if c.ConstraintCoef == 0 && c.DiversityCoef == 0 {
		l.plain = policy.NewCrossEntropy()
		loss = l.plain
	} else {
		loss = policy.NewRowLoss(func(rows, d policy.Rows) float64 {
			return l.now.loss.evaluate(l.now.spans, rows.Logp, rows.Entropy, d.Logp, d.Entropy, &l.now.saw)
		})
	}
	var err error
	l.trainer, err = policy.NewTrainer(params, set, policy.TrainerOptions{Loss: loss, Checkpoint: c.Checkpoint})
	if err != nil {
		return nil, fmt.Errorf("sft trainer: %w", err)
	}
	return l, nil
}

// gradient leaves the gradient of a step's loss in the trainer, and says what was seen of its rows.
func (l *Learner) gradient(ctx context.Context, c Config, batch policy.Batch, spans []span, tokens int) (saw seen, err error) {
	l.trainer.ZeroGrads()
	if l.plain != nil {
		l.plain.Set(weigh(batch.Len(), spans, tokens))
		loss, err := l.trainer.Gradient(ctx, batch)
		return seen{logp: -loss * float64(tokens)}, err
	}
	l.now.loss = composite{diversity: c.DiversityCoef, constraint: c.ConstraintCoef, learned: tokens, forbidden: forbidden(spans)}
	l.now.spans, l.now.saw = spans, seen{}
	_, err = l.trainer.Gradient(ctx, batch)
	return l.now.saw, err
}

// forbidden counts completions.
func forbidden(spans []span) (n int) {
	for _, s := range spans {
		if s.forbidden {
			n++
		}
	}
	return n
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
	if err := validateAll(in.Examples, in.Config); err != nil {
		return Result{}, err
	}
	steps, lastEpoch := plan(in.Examples, in.Config, in.Seed)
	return l.descend(ctx, descent{
		config: in.Config, examples: in.Examples, steps: steps, lastEpoch: lastEpoch,
		optimizer: in.Optimizer, rate: func(int) float64 { return in.LearningRate }, progress: in.Progress,
	})
}

// descent is a number of steps to take, each of which names its examples.
type descent struct {
	config    Config
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
	var last seen
	tokens, unwanted := 0, 0 // of the last epoch
	for i, step := range d.steps {
		batch, spans, n := pack(d.examples, step)
		saw, err := l.gradient(ctx, d.config, batch, spans, n)
		var norm float64
		if err == nil {
			_, work := phase.Begin(ctx, "optimiser")
			norm, err = d.optimizer.Step(l.set, l.params, l.trainer.Grads(), d.rate(i))
			work.End()
		}
		if err != nil {
			return Result{}, fmt.Errorf("sft step %d of %d: %w", i, len(d.steps), err)
		}
		l.trainer.MoveBiases()
		if i >= d.lastEpoch {
			result.Usage.Merge(l.trainer.Usage())
			last.logp, last.entropy, last.unlikelihood = last.logp+saw.logp, last.entropy+saw.entropy, last.unlikelihood+saw.unlikelihood
			tokens, unwanted = tokens+n, unwanted+forbidden(spans)
		}
		loss := -saw.logp / float64(max(n, 1))
		result.add(loss, norm, n)
		if d.progress != nil {
			d.progress(Progress{Step: result.Steps, Steps: len(d.steps), Loss: loss, Tokens: result.Tokens})
		}
	}
	result.LastEpochLoss, result.Entropy = -last.logp/float64(max(tokens, 1)), last.entropy/float64(max(tokens, 1))
	result.ConstraintLoss = last.unlikelihood / float64(max(unwanted, 1))
	return result, nil
}
