package dpo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/phase"
)

// Learner runs updates of one policy's parameters. It owns the graph and the loss in it. It is not safe for concurrent use.
type Learner struct {
	params  *policy.Params
	set     *kernel.Set
	trainer *policy.Trainer
	// now is what the loss reads of the batch that runs, and where it leaves what it saw.
	now struct {
		objective objective
		items     []item
		pairs     int
		seen      *tally
	}
}

// item is a pair in a batch: where its tokens are scored, and what the reference says of them.
type item struct {
	pair             Pair
	chosen, rejected span
	refs             reference
}

// span is the half-open range of a side's rows.
type span struct{ from, to int }

// reference is the log-probability of both sides under the reference, summed.
type reference struct{ chosen, rejected float64 }

// NewLearner makes a learner that changes params in place. c gives what is part of the graph: Checkpoint. temperature is that of
// sampling, > 0: logits are divided by it before log-probabilities are taken, of policy and reference alike.
func NewLearner(params *policy.Params, set *kernel.Set, c Config, temperature float32) (*Learner, error) {
	l := &Learner{params: params, set: set}
	var err error
	l.trainer, err = policy.NewTrainer(params, set, policy.TrainerOptions{
		Temperature: temperature, Checkpoint: c.Checkpoint, Loss: policy.NewRowLoss(l.loss),
	})
	if err != nil {
		return nil, fmt.Errorf("dpo trainer: %w", err)
	}
	return l, nil
}

// UpdateInput is what an update is a function of, beside the parameters.
type UpdateInput struct {
	// Config must be valid.
	Config Config
	// Optimizer holds the moments; its state is part of the policy version.
	Optimizer *policy.AdamW
	// Reference scores tokens under the policy that the implicit reward is measured from, at the learner's temperature. It may not read the
	// parameters that are trained.
	Reference *policy.Trainer
	// Pairs are learned in an order that Seed decides.
	Pairs []Pair
	Seed  uint64
	// LearningRate is that of all steps, > 0.
	LearningRate float64
	// Progress, if not nil, is called after each piece of work.
	Progress func(Progress)
}

// Progress is how far an update has come.
type Progress struct {
	// Phase is "reference" while the reference scores, then "update".
	Phase string
	// Done of Total are pairs of the reference, then steps.
	Done, Total int
}

// Update runs one cycle's learning: the reference's log-probabilities of all pairs, then Config.Epochs passes over them in steps of
// Config.BatchPairs, dealt anew each epoch. A step larger than Config.BatchTokens goes through the graph in parts, all divided by the
// pairs of the whole.
//
// No pairs, a pair out of range and a bad configuration are [hone.ErrInvalid] before anything is changed; a loss or a gradient that isn't
// finite is [hone.ErrNonFinite]. After an error the parameters and the optimiser may have changed.
func (l *Learner) Update(ctx context.Context, in UpdateInput) (Stats, error) {
	if err := in.validate(); err != nil {
		return Stats{}, err
	}
	refs, err := in.score(ctx)
	if err != nil {
		return Stats{}, err
	}
	c := in.Config
	l.now.objective = newObjective(c)
	n := (len(in.Pairs) + c.BatchPairs - 1) / c.BatchPairs
	stats := Stats{Pairs: len(in.Pairs), LearningRate: in.LearningRate}
	for _, p := range in.Pairs {
		stats.Tokens += len(p.Chosen) + len(p.Rejected)
	}
	for epoch := range c.Epochs {
		l.now.seen = new(tally)
		order := hone.Rand(hone.Seed(in.Seed, "dpo", "epoch", epoch)).Perm(len(in.Pairs))
		for k, hand := range slices.Collect(slices.Chunk(order, c.BatchPairs)) {
			if err := l.gradient(ctx, in, hand, refs); err != nil {
				return Stats{}, fmt.Errorf("dpo epoch %d step %d: %w", epoch, k, err)
			}
			_, work := phase.Begin(ctx, "optimiser")
			norm, err := in.Optimizer.Step(l.set, l.params, l.trainer.Grads(), in.LearningRate)
			work.End()
			if err != nil {
				return Stats{}, fmt.Errorf("dpo epoch %d step %d: %w", epoch, k, err)
			}
			l.trainer.MoveBiases()
			stats.take(norm)
			in.report("update", epoch*n+k+1, c.Epochs*n)
		}
		if epoch == 0 {
			stats.MarginFirst = l.now.seen.margin / l.now.seen.pairs
		}
	}
	stats.observe(l.now.seen)
	return stats, nil
}

// gradient leaves the gradient of a step's loss in the trainer, whatever the number of parts it is computed in.
func (l *Learner) gradient(ctx context.Context, in UpdateInput, hand []int, refs []reference) error {
	l.trainer.ZeroGrads()
	l.now.pairs = len(hand)
	rows := 0
	for _, i := range hand {
		rows += in.Pairs[i].rows()
	}
	for _, part := range in.split(hand) {
		var batch policy.Batch
		batch, l.now.items = in.pack(part)
		for j, i := range part {
			l.now.items[j].refs = refs[i]
		}
		batch.Share = float32(batch.Len()) / float32(rows)
		if _, err := l.trainer.Gradient(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// loss is the mean of the objective over the pairs of the step, of which the batch holds some.
func (l *Learner) loss(rows, slopes policy.Rows) float64 {
	total, n := 0.0, float64(l.now.pairs)
	for _, it := range l.now.items {
		chosen := side{logp: sum(rows.Logp, it.chosen), logpRef: it.refs.chosen, tokens: len(it.pair.Chosen)}
		rejected := side{logp: sum(rows.Logp, it.rejected), logpRef: it.refs.rejected, tokens: len(it.pair.Rejected)}
		j := l.now.objective.judge(chosen, rejected)
		total += (j.loss + l.now.objective.chosenCoef*j.imitation) / n
		fill(slopes.Logp, it.chosen, j.dChosen/n)
		fill(slopes.Logp, it.rejected, j.dRejected/n)
		l.now.seen.add(j, chosen.logp-chosen.logpRef, rejected.logp-rejected.logpRef)
	}
	return total
}

// sum adds from the front.
func sum(values []float64, s span) float64 {
	total := 0.0
	for _, v := range values[s.from:s.to] {
		total += v
	}
	return total
}

func fill(values []float64, s span, v float64) {
	for i := s.from; i < s.to; i++ {
		values[i] = v
	}
}

// score is the reference's word on all pairs.
func (in UpdateInput) score(ctx context.Context) ([]reference, error) {
	all := make([]int, len(in.Pairs))
	for i := range all {
		all[i] = i
	}
	refs := make([]reference, 0, len(all))
	for _, part := range in.split(all) {
		batch, items := in.pack(part)
		scores, err := in.Reference.Evaluate(ctx, batch)
		if err != nil {
			return nil, fmt.Errorf("dpo reference: %w", err)
		}
		wide := make([]float64, len(scores.Logp))
		for i, v := range scores.Logp {
			wide[i] = float64(v)
		}
		for _, it := range items {
			refs = append(refs, reference{chosen: sum(wide, it.chosen), rejected: sum(wide, it.rejected)})
		}
		in.report("reference", len(refs), len(all))
	}
	return refs, nil
}

// split cuts the pairs of these indices, in order, into runs that fit a batch.
func (in UpdateInput) split(indices []int) [][]int {
	return policy.Runs(indices, in.Config.BatchTokens, func(i int) int { return in.Pairs[i].rows() })
}

// pack is one batch of the pairs of these indices: each side behind the prefix, the chosen one first. The row before a token scores it.
func (in UpdateInput) pack(indices []int) (batch policy.Batch, items []item) {
	add := func(prefix, tokens []hone.TokenID) span {
		first := batch.Len() + len(prefix) - 1
		batch.Append(slices.Concat(prefix, tokens), len(prefix))
		return span{first, first + len(tokens)}
	}
	for _, i := range indices {
		p := in.Pairs[i]
		items = append(items, item{pair: p, chosen: add(p.Prefix, p.Chosen), rejected: add(p.Prefix, p.Rejected)})
	}
	return batch, items
}

// report tells how far the update has come.
func (in UpdateInput) report(name string, done, total int) {
	if in.Progress != nil {
		in.Progress(Progress{Phase: name, Done: done, Total: total})
	}
}

// validate reports every fault of the input.
func (in UpdateInput) validate() error {
	errs := []error{in.Config.Validate()}
	if in.Optimizer == nil || in.Reference == nil {
		errs = append(errs, fmt.Errorf("dpo update: optimiser %t, reference %t, both must be there: %w",
			in.Optimizer != nil, in.Reference != nil, hone.ErrInvalid))
	}
	if !(in.LearningRate > 0) || math.IsInf(in.LearningRate, 0) {
		errs = append(errs, fmt.Errorf("dpo update: learning rate is %v, must be above 0: %w", in.LearningRate, hone.ErrInvalid))
	}
	if len(in.Pairs) == 0 {
		errs = append(errs, fmt.Errorf("dpo update: no pairs: %w", hone.ErrInvalid))
	}
	for i, p := range in.Pairs {
		if err := p.validate(in.Config.BatchTokens); err != nil {
			errs = append(errs, fmt.Errorf("dpo pair %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
