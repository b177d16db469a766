package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/kernel"
)

// Input is what training is a function of.
type Input struct {
	// Params are trained in place: a policy's, whose head said something else before, or fresh ones.
	Params *policy.Params
	Set    *kernel.Set
	// Config must be valid.
	Config Config
	// Pairs are learned in an order that Seed decides. HeldOut are not learned from, and measured at the end; there may be none.
	Pairs, HeldOut []dpo.Pair
	Seed           uint64
	// Progress, if not nil, is called after each step.
	Progress func(done, total int)
}

// Stats is what training says of itself. The names are those of doc/metrics.md.
type Stats struct {
	Pairs int `json:"rm_pairs"`
	Steps int `json:"steps"`
	// First and Last are over the pairs of the first and of the last epoch, each taken before its step.
	First Measure `json:"first"`
	Last  Measure `json:"last"`
	// HeldOut is over pairs that were not learned from.
	HeldOut     Measure `json:"held_out"`
	GradNormMax float64 `json:"grad_norm_max"`
}

// Measure is how well a model tells the two sides of pairs apart.
type Measure struct {
	Pairs int `json:"pairs"`
	// Loss is the mean of -log sigmoid(r_w - r_l), ln 2 where it knows nothing.
	Loss float64 `json:"rm_loss"`
	// Accuracy is the share of pairs with r_w > r_l, equal scores for a half.
	Accuracy float64 `json:"rm_accuracy"`
	// Margin is the mean of r_w - r_l, Mean that of all scores.
	Margin float64 `json:"rm_margin"`
	Mean   float64 `json:"rm_mean"`
}

// add counts a pair; means are moved.
func (m *Measure) add(chosen, rejected, loss float64) {
	m.Pairs++
	move := func(mean *float64, v float64) { *mean += (v - *mean) / float64(m.Pairs) }
	right := 0.5
	if chosen != rejected {
		right = 0
	}
	if chosen > rejected {
		right = 1
	}
	move(&m.Loss, loss)
	move(&m.Accuracy, right)
	move(&m.Margin, chosen-rejected)
	move(&m.Mean, (chosen+rejected)/2)
}

// learner is a training under way.
type learner struct {
	in      Input
	trainer *policy.Trainer
	// now is what the loss reads of the batch that runs, and where it leaves what it saw.
	now struct {
		rows  []rows
		pairs int
		seen  *Measure
	}
}

// rows are those of the last tokens of a pair's sides, where its scores are read.
type rows struct{ chosen, rejected int }

// Train learns the pairs. The same input gives the same bits. No pairs, a pair out of range and a bad configuration are [hone.ErrInvalid]
// before anything is changed; a loss or a gradient that isn't finite is [hone.ErrNonFinite].
func Train(ctx context.Context, in Input) (Stats, error) {
	if err := in.validate(); err != nil {
		return Stats{}, err
	}
	l := &learner{in: in}
	var err error
	if l.trainer, err = policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{Loss: policy.NewValueLoss(l.loss)}); err != nil {
		return Stats{}, fmt.Errorf("reward model trainer: %w", err)
	}
	adam := policy.DefaultAdamWConfig()
	adam.ClipNorm = in.Config.ClipNorm
	optimizer, err := policy.NewAdamW(in.Params, adam)
	if err != nil {
		return Stats{}, fmt.Errorf("reward model: %w", err)
	}
	c := in.Config
	n := (len(in.Pairs) + c.BatchPairs - 1) / c.BatchPairs
	rate := c.schedule(c.Epochs * n)
	stats := Stats{Pairs: len(in.Pairs)}
	for epoch := range c.Epochs {
		stats.Last = Measure{}
		l.now.seen = &stats.Last
		order := hone.Rand(hone.Seed(in.Seed, "reward model", "epoch", epoch)).Perm(len(in.Pairs))
		for hand := range slices.Chunk(order, c.BatchPairs) {
			norm, err := l.step(ctx, hand, optimizer, rate.At(stats.Steps))
			if err != nil {
				return Stats{}, fmt.Errorf("reward model epoch %d: %w", epoch, err)
			}
			stats.Steps++
			stats.GradNormMax = max(stats.GradNormMax, norm)
			if in.Progress != nil {
				in.Progress(stats.Steps, c.Epochs*n)
			}
		}
		if epoch == 0 {
			stats.First = stats.Last
		}
	}
	stats.HeldOut, err = l.measure(ctx, in.HeldOut)
	return stats, err
}

// step takes one, in as many parts as the batch asks for.
func (l *learner) step(ctx context.Context, hand []int, optimizer *policy.AdamW, rate float64) (norm float64, err error) {
	l.trainer.ZeroGrads()
	l.now.pairs = len(hand)
	tokens := 0
	for _, i := range hand {
		tokens += size(l.in.Pairs[i])
	}
	for _, part := range policy.Runs(hand, l.in.Config.BatchTokens, func(i int) int { return size(l.in.Pairs[i]) }) {
		var batch policy.Batch
		batch, l.now.rows = pack(l.in.Pairs, part)
		batch.Share = float32(batch.Len()) / float32(tokens)
		if _, err := l.trainer.Gradient(ctx, batch); err != nil {
			return 0, err
		}
	}
	if norm, err = optimizer.Step(l.in.Set, l.in.Params, l.trainer.Grads(), rate); err != nil {
		return 0, err
	}
	l.trainer.MoveBiases()
	return norm, nil
}

// loss is the mean of the objective over the pairs of the step, of which the batch holds some.
func (l *learner) loss(values, slopes []float64) float64 {
	total, n := 0.0, float64(l.now.pairs)
	for _, at := range l.now.rows {
		j := judge(values[at.chosen], values[at.rejected], l.in.Config.CenterCoef)
		total += (j.loss + l.in.Config.CenterCoef*j.center) / n
		slopes[at.chosen] += j.dChosen / n
		slopes[at.rejected] += j.dRejected / n
		l.now.seen.add(values[at.chosen], values[at.rejected], j.loss)
	}
	return total
}

// measure is the model as it is on pairs.
func (l *learner) measure(ctx context.Context, pairs []dpo.Pair) (m Measure, err error) {
	all := make([]int, len(pairs))
	for i := range all {
		all[i] = i
	}
	for _, part := range policy.Runs(all, l.in.Config.BatchTokens, func(i int) int { return size(pairs[i]) }) {
		batch, at := pack(pairs, part)
		scores, err := l.trainer.Evaluate(ctx, batch)
		if err != nil {
			return m, fmt.Errorf("reward model on held-out pairs: %w", err)
		}
		for _, r := range at {
			chosen, rejected := float64(scores.Value[r.chosen]), float64(scores.Value[r.rejected])
			m.add(chosen, rejected, judge(chosen, rejected, 0).loss)
		}
	}
	return m, nil
}

// size is the number of tokens that a pair takes in a batch.
func size(p dpo.Pair) int { return 2*len(p.Prefix) + len(p.Chosen) + len(p.Rejected) }

// pack is one batch of the pairs of these indices: each side behind the prefix, the chosen one first.
func pack(pairs []dpo.Pair, indices []int) (batch policy.Batch, at []rows) {
	add := func(prefix, tokens []hone.TokenID) int {
		whole := slices.Concat(prefix, tokens)
		batch.Append(whole, len(whole)) // no token is predicted
		return batch.Len() - 1
	}
	for _, i := range indices {
		p := pairs[i]
		chosen := add(p.Prefix, p.Chosen)
		at = append(at, rows{chosen: chosen, rejected: add(p.Prefix, p.Rejected)})
	}
	return batch, at
}

// validate reports every fault of the input.
func (in Input) validate() error {
	errs := []error{in.Config.Validate()}
	if len(in.Pairs) == 0 {
		errs = append(errs, fmt.Errorf("reward model: no pairs: %w", hone.ErrInvalid))
	}
	for _, set := range []struct {
		name  string
		pairs []dpo.Pair
	}{{"pair", in.Pairs}, {"held-out pair", in.HeldOut}} {
		for i, p := range set.pairs {
			switch most := in.Params.Config().Context; {
			case len(p.Prefix) == 0 || len(p.Chosen) == 0 || len(p.Rejected) == 0 || slices.Equal(p.Chosen, p.Rejected):
				errs = append(errs, fmt.Errorf("reward model: %s %d: %d tokens of prefix, %d chosen, %d rejected: want 1 or more of each, and two "+
					"sides: %w", set.name, i, len(p.Prefix), len(p.Chosen), len(p.Rejected), hone.ErrInvalid))
			case size(p) > in.Config.BatchTokens:
				errs = append(errs, fmt.Errorf("reward model: %s %d: %d tokens do not fit batch_tokens %d: %w",
					set.name, i, size(p), in.Config.BatchTokens, hone.ErrInvalid))
			case len(p.Prefix)+max(len(p.Chosen), len(p.Rejected)) > most:
				errs = append(errs, fmt.Errorf("reward model: %s %d: %d tokens do not fit the context of %d: %w",
					set.name, i, len(p.Prefix)+max(len(p.Chosen), len(p.Rejected)), most, hone.ErrInvalid))
			}
		}
	}
	return errors.Join(errs...)
}
