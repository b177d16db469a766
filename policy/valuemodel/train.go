package valuemodel

import (
	"context"
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/calibration"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/logistic"
)

// Input is what training is a function of.
type Input struct {
	// Params are trained in place: a policy's, whose head said something else before, or fresh ones.
	Params *policy.Params
	Set    *kernel.Set
	// Config must be valid.
	Config Config
	// Examples are learned in an order that Seed decides. HeldOut are not learned from: the sampled ones calibrate, and all are measured;
	// there may be none.
	Examples, HeldOut []Example
	Seed              uint64
	// Progress, if not nil, is called after each step.
	Progress func(done, total int)
}

// Stats is what training says of itself. The names are those of doc/metrics.md.
type Stats struct {
	Examples int `json:"vm_examples"`
	States   int `json:"vm_states"`
	Steps    int `json:"steps"`
	Tokens   int `json:"vm_tokens"`
	// FirstLoss and LastLoss are the mean of the loss over the states of the first and of the last epoch, each before its step, in nats.
	FirstLoss   float64 `json:"vm_loss_first"`
	LastLoss    float64 `json:"vm_loss"`
	GradNormMax float64 `json:"grad_norm_max"`
	// HeldOutLoss is the mean over all held-out states; 0 where there are none.
	HeldOutLoss float64 `json:"vm_held_out_loss"`
	// Calibrated is fitted to the held-out states of samples. Before and After are what those states' probabilities are worth without it
	// and with it; nil where there are none.
	Calibrated Calibration         `json:"calibrated"`
	Before     *calibration.Report `json:"before,omitempty"`
	After      *calibration.Report `json:"after,omitempty"`
	// CalibratedEnds is fitted to held-out texts that ended, of samples and searches alike; Ends is what they are worth with it.
	CalibratedEnds Calibration         `json:"calibrated_ends"`
	Ends           *calibration.Report `json:"ends,omitempty"`
}

// learner is a training under way.
type learner struct {
	in      Input
	trainer *policy.Trainer
	// now is what the loss reads of the batch that runs.
	now marks
}

// marks are the rows of a batch whose values are taught.
type marks struct {
	rows    []int
	targets []float64
	weights []float64
	total   float64 // of weights
}

// Train learns the examples. The same input gives the same bits. No examples, one out of range and a bad configuration are
// [hone.ErrInvalid] before anything is changed; a loss or a gradient that isn't finite is [hone.ErrNonFinite].
//
// The loss of a state is -t log p - (1-t) log(1-p) with p = sigmoid(V): Wang et al. 2024, arXiv:2312.08935, eq. 2, for a target between
// 0 and 1. A step's is the mean by weight over the states of its batch.
func Train(ctx context.Context, in Input) (Stats, error) {
	if err := in.validate(); err != nil {
		return Stats{}, err
	}
	l := &learner{in: in}
	var err error
	if l.trainer, err = policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{Loss: policy.NewValueLoss(l.loss)}); err != nil {
		return Stats{}, fmt.Errorf("value model trainer: %w", err)
	}
	adam := policy.DefaultAdamWConfig()
	adam.ClipNorm = in.Config.ClipNorm
	optimizer, err := policy.NewAdamW(in.Params, adam)
	if err != nil {
		return Stats{}, fmt.Errorf("value model: %w", err)
	}
	stats := Stats{Examples: len(in.Examples)}
	for _, e := range in.Examples {
		stats.States += len(e.States)
	}
	var epochs [][][]int
	total := 0
	for epoch := range in.Config.Epochs {
		order := hone.Rand(hone.Seed(in.Seed, "value model", "epoch", epoch)).Perm(len(in.Examples))
		epochs = append(epochs, policy.Runs(order, in.Config.BatchTokens, func(i int) int { return len(in.Examples[i].Tokens) }))
		total += len(epochs[epoch])
	}
	rate := in.Config.schedule(total)
	for epoch, batches := range epochs {
		var seen mean
		for _, hand := range batches {
			norm, loss, err := l.step(ctx, hand, optimizer, rate.At(stats.Steps))
			if err != nil {
				return Stats{}, fmt.Errorf("value model epoch %d: %w", epoch, err)
			}
			seen.add(loss, l.now.total)
			stats.Steps++
			stats.GradNormMax = max(stats.GradNormMax, norm)
			if in.Progress != nil {
				in.Progress(stats.Steps, total)
			}
		}
		stats.LastLoss = seen.value
		if epoch == 0 {
			stats.FirstLoss = seen.value
		}
	}
	stats.Tokens = in.Config.Epochs * size(in.Examples)
	if err := l.measure(ctx, &stats); err != nil {
		return Stats{}, err
	}
	return stats, nil
}

// mean is a weighted one, moved.
type mean struct{ value, weight float64 }

func (m *mean) add(x, weight float64) {
	m.weight += weight
	m.value += (x - m.value) * weight / m.weight
}

// step takes one, and gives the loss before it.
func (l *learner) step(ctx context.Context, hand []int, optimizer *policy.AdamW, rate float64) (norm, loss float64, err error) {
	l.trainer.ZeroGrads()
	batch := l.pack(l.in.Examples, hand)
	if loss, err = l.trainer.Gradient(ctx, batch); err != nil {
		return 0, 0, err
	}
	if norm, err = optimizer.Step(l.in.Set, l.in.Params, l.trainer.Grads(), rate); err != nil {
		return 0, 0, err
	}
	l.trainer.MoveBiases()
	return norm, loss, nil
}

// loss is the mean by weight over the states of the batch.
func (l *learner) loss(values, slopes []float64) float64 {
	sum := 0.0
	for i, row := range l.now.rows {
		z, t, w := values[row], l.now.targets[i], l.now.weights[i]/l.now.total
		sum += w * (t*logistic.Softplus(-z) + (1-t)*logistic.Softplus(z))
		slopes[row] += w * (logistic.Sigmoid(z) - t)
	}
	return sum
}

// size is the number of tokens of examples.
func size(examples []Example) int {
	n := 0
	for _, e := range examples {
		n += len(e.Tokens)
	}
	return n
}

// pack is one batch of the examples of these indices, with what the loss is to read of it.
func (l *learner) pack(examples []Example, indices []int) policy.Batch {
	var batch policy.Batch
	l.now = marks{}
	for _, i := range indices {
		from := batch.Len()
		e := examples[i]
		batch.Append(e.Tokens, len(e.Tokens)) // no token is predicted
		for _, s := range e.States {
			l.now.rows = append(l.now.rows, from+s.At-1)
			l.now.targets = append(l.now.targets, s.Target)
			l.now.weights = append(l.now.weights, s.Weight)
			l.now.total += s.Weight
		}
	}
	return batch
}

// validate reports every fault of the input.
func (in Input) validate() error {
	errs := []error{in.Config.Validate()}
	if len(in.Examples) == 0 {
		errs = append(errs, fmt.Errorf("value model: no examples: %w", hone.ErrInvalid))
	}
	for _, set := range []struct {
		name     string
		examples []Example
	}{{"example", in.Examples}, {"held-out example", in.HeldOut}} {
		for i, e := range set.examples {
			if err := e.check(in.Params.Config().Context, in.Config.BatchTokens); err != nil {
				errs = append(errs, fmt.Errorf("value model: %s %d: %w", set.name, i, err))
			}
		}
	}
	return errors.Join(errs...)
}
