package ppo

import (
	"context"
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/phase"
)

// descent is the part of an update that takes steps.
type descent struct {
	learner *Learner
	in      UpdateInput
	stats   *Stats
	// seen gathers the tallies of all minibatches but those that were skipped.
	seen    *tally
	skipped []SkippedStep
	last    error
}

// epochs takes all steps, or as many as the divergence allows.
func (d *descent) epochs(ctx context.Context, samples, imitations []*sample) error {
	c := d.in.Config
	n := min(c.Minibatches, len(samples))
	for epoch := range c.Epochs {
		rng := hone.Rand(hone.Seed(d.in.Seed, "ppo", "epoch", epoch))
		own, found := rng.Perm(len(samples)), rng.Perm(len(imitations))
		for k := range n {
			minibatch := append(deal(samples, own, k, n), deal(imitations, found, k, n)...)
			stop, err := d.step(ctx, epoch, k, minibatch)
			if err != nil {
				return fmt.Errorf("ppo epoch %d minibatch %d: %w", epoch, k, err)
			}
			d.in.report("update", epoch*n+k+1, c.Epochs*n)
			if stop {
				d.stats.StoppedEarly = 1
				d.stats.finishNorms()
				return nil
			}
		}
	}
	if d.stats.Steps == 0 {
		return fmt.Errorf("ppo: none of %d steps was finite; the last: %w", d.stats.SkippedSteps, d.last)
	}
	d.stats.finishNorms()
	return nil
}

// deal is hand k of n of the samples in the order given; hands differ in size by one at most.
func deal(samples []*sample, order []int, k, n int) []*sample {
	hand := make([]*sample, 0, len(order)/n+1)
	for _, i := range order[k*len(order)/n : (k+1)*len(order)/n] {
		hand = append(hand, samples[i])
	}
	return hand
}

// step computes a minibatch's gradient and takes one step along it, unless the divergence says to stop or something is not finite.
func (d *descent) step(ctx context.Context, epoch, k int, minibatch []*sample) (stop bool, err error) {
	err = d.learner.gradient(ctx, minibatch, d.in.Config.BatchTokens)
	seen := d.learner.loss.takeTally()
	seen.usage = d.learner.trainer.Usage()
	var norm float64
	var blocks []Block
	if err == nil {
		if d.stats.Steps == 0 { // a skipped step changes nothing, so the next one is still at the sampling policy
			d.stats.RatioFirstMaxDev = seen.ratioDeviation()
		}
		if limit := d.in.Config.TargetKL; limit > 0 && seen.oldK3.value() > limit {
			d.seen.merge(seen)
			return true, nil
		}
		d.learner.freeze()
		blocks = blockNorms(d.learner.set, d.learner.parts, d.learner.trainer.Grads())
		_, work := phase.Begin(ctx, "optimiser")
		norm, err = d.in.Optimizer.Step(d.learner.set, d.learner.params, d.learner.trainer.Grads(), d.in.LearningRate)
		work.End()
	}
	switch {
	case errors.Is(err, hone.ErrNonFinite):
		d.skip(epoch, k, minibatch, err)
		return false, nil
	case err != nil:
		return false, err
	}
	if !d.learner.loss.objective.valueOnly {
		d.learner.trainer.MoveBiases()
	}
	d.seen.merge(seen)
	d.stats.Steps++
	d.stats.GradNorm += norm
	d.stats.GradNormMax = max(d.stats.GradNormMax, norm)
	if limit := d.in.Config.Guard.GradNorm; limit > 0 && norm > limit {
		d.stats.GradNormAlarms++
	}
	d.stats.addBlocks(blocks)
	return false, nil
}

// skip counts a step that is not taken, and remembers what was in it.
func (d *descent) skip(epoch, k int, minibatch []*sample, reason error) {
	s := SkippedStep{Epoch: epoch, Minibatch: k, Reason: reason.Error()}
	for _, x := range minibatch {
		s.Samples = append(s.Samples, x.trajectory.ID)
	}
	d.skipped = append(d.skipped, s)
	d.stats.SkippedSteps++
	d.last = reason
}

// gradient leaves the gradient of the minibatch's loss in the trainer, whatever the number of parts it is computed in.
func (l *Learner) gradient(ctx context.Context, minibatch []*sample, limit int) error {
	var totals Totals
	rows := 0
	for _, s := range minibatch {
		rows += s.rows()
		if s.imitation {
			totals.Imitations += len(s.trajectory.Tokens)
		} else {
			totals.Samples += len(s.trajectory.Tokens)
			totals.Sequences++
		}
	}
	l.trainer.ZeroGrads()
	for _, part := range split(minibatch, limit) {
		batch, _ := pack(part)
		batch.batch.Share = float32(batch.batch.Len()) / float32(rows)
		if err := l.loss.Set(batch.rows, totals); err != nil {
			return err
		}
		if _, err := l.trainer.Gradient(ctx, batch.batch); err != nil {
			return err
		}
	}
	return nil
}

// freeze leaves nothing of the gradient but the value head's where the loss is the value's alone.
func (l *Learner) freeze() {
	if !l.loss.objective.valueOnly {
		return
	}
	for _, t := range l.trainer.Grads().Tensors() {
		if t.Block() != policy.BlockValueHead {
			clear(t.Data)
		}
	}
}
