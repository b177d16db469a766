package main

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/policy/sft"
)

// rate is the learning rate of measured steps: so small that a hundred of them change no work.
const rate = 1e-6

// supervised times steps of the cross-entropy of the completions, as sft.Fit takes them.
func (b *bench) supervised(ctx context.Context) (err error) {
	params, err := job.Params(b.Size)
	if err != nil {
		return err
	}
	loss := policy.NewCrossEntropy()
	trainer, err := policy.NewTrainer(params, b.set, policy.TrainerOptions{Loss: loss})
	if err != nil {
		return err
	}
	c, product := policy.DefaultAdamWConfig(), sft.DefaultConfig()
	c.WeightDecay, c.ClipNorm = product.WeightDecay, product.ClipNorm
	optimizer, err := policy.NewAdamW(params, c)
	if err != nil {
		return err
	}
	batch := b.batch(params.Config().Vocab)
	loss.Set(mean(batch))
	return b.timed(func() error {
		trainer.ZeroGrads()
		if _, err := trainer.Gradient(ctx, batch); err != nil {
			return err
		}
		_, err := optimizer.Step(b.set, params, trainer.Grads(), rate)
		return err
	})
}

// batch is all sequences in one, completions scored.
func (b *bench) batch(vocab int) policy.Batch {
	var batch policy.Batch
	for i := range b.Batch {
		batch.Append(job.Sequence(i, b.Length(), vocab), b.Prompt)
	}
	return batch
}

// mean is the weight of each of the batch's tokens in the mean over those that are scored.
func mean(batch policy.Batch) []float32 {
	scored := 0
	for _, target := range batch.Targets {
		if target != policy.NoTarget {
			scored++
		}
	}
	weights := make([]float32, batch.Len())
	for i, target := range batch.Targets {
		if target != policy.NoTarget {
			weights[i] = 1 / float32(scored)
		}
	}
	return weights
}

// update times steps of PPO, as the product takes them, with one minibatch and one epoch. The log-probabilities and values that the
// sampler would have recorded are computed too.
func (b *bench) update(ctx context.Context) (err error) {
	params, err := job.Params(b.Size)
	if err != nil {
		return err
	}
	// Two trainers read the same weights: the reference and the policy as it was are one here, and cost the same as if they weren't.
	reference, err := policy.NewTrainer(params.Clone(), b.set, policy.TrainerOptions{})
	if err != nil {
		return err
	}
	scorer, err := policy.NewTrainer(params, b.set, policy.TrainerOptions{})
	if err != nil {
		return err
	}
	learner, err := ppo.NewLearner(params, b.set, ppo.DefaultConfig(), 1)
	if err != nil {
		return err
	}

	c := ppo.DefaultConfig()
	c.Epochs, c.Minibatches, c.TargetKL, c.BatchTokens = 1, 1, 0, b.Tokens()
	optimizer, err := policy.NewAdamW(params, c.AdamW())
	if err != nil {
		return err
	}
	in := ppo.UpdateInput{
		Config: c, Optimizer: optimizer, Reference: reference, Trajectories: b.trajectories(params.Config().Vocab),
		Beta: c.KLCoef, LearningRate: rate,
	}
	batch := b.batch(params.Config().Vocab)
	return b.timed(func() error {
		scores, err := scorer.Evaluate(ctx, batch)
		if err != nil {
			return err
		}
		for i := range in.Trajectories {
			t, first := &in.Trajectories[i].Trajectory, i*b.Length()+b.Prompt-1
			t.Logp, t.Values = scores.Logp[first:first+b.New], scores.Value[first:first+b.New]
		}
		result, err := learner.Update(ctx, in)
		if err == nil && result.Stats.Steps != 1 {
			err = fmt.Errorf("update took %d steps, must take 1: %w", result.Stats.Steps, hone.ErrInvalid)
		}
		return err
	})
}

// trajectories are the sequences with a reward of 1 for every third and 0 for the others, each one step of reasoning.
func (b *bench) trajectories(vocab int) []ppo.Scored {
	out := make([]ppo.Scored, b.Batch)
	for i := range out {
		tokens := job.Sequence(i, b.Length(), vocab)
		out[i].Trajectory = hone.Trajectory{
			ID: hone.TrajectoryID{Run: "bench", Sample: i}, Problem: hone.Problem{Task: "bench", Key: "one"}, Source: hone.SourceSample,
			Prompt: tokens[:b.Prompt], Tokens: tokens[b.Prompt:], Finish: hone.FinishStop, Steps: []hone.Step{{To: b.New}},
		}
		layer, outcome := hone.LayerScore{Layer: "bench", Weight: 1}, hone.OutcomeWrong
		if i%3 == 0 {
			layer.Terms, outcome = []hone.Term{{Score: 1}}, hone.OutcomeRight
		}
		out[i].Breakdown = hone.Breakdown{Outcome: outcome, Layers: []hone.LayerScore{layer}, Steps: 1}
	}
	return out
}
