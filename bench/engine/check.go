package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/policy/weights"
)

// The files of a size, in a folder of its own. bench/engine.py reads them.
const (
	fileModel      = "model.safetensors"
	fileConfig     = "config.json"
	fileCheck      = "check.json"
	fileSupervised = "gradient-supervised.safetensors"
	fileClipped    = "gradient-clipped.safetensors"
)

// export writes the weights that all measurements of the size begin with, and their shape.
func (b *bench) export() error {
	params, err := job.Params(b.Size)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.Folder, 0o755); err != nil {
		return err
	}
	if err := b.saveJSON(fileConfig, params.Config()); err != nil {
		return err
	}
	return b.saveParams(fileModel, params)
}

// checked is what hone says of a batch, for the other side to compare with. Vectors are [B*T] in the batch's order.
type checked struct {
	Logp    []float32 `json:"logp"`
	Entropy []float32 `json:"entropy"`
	Value   []float32 `json:"value"`
	// NextLogp is [V] or shorter: the log-probability of each token after the prompt of sequence 0 without its last token.
	NextLogp []float32 `json:"next_logp"`
	// The clipped loss's inputs; 0 where no token is scored.
	LogpOld    []float64 `json:"logp_old"`
	LogpRef    []float64 `json:"logp_ref"`
	Advantages []float64 `json:"advantages"`
	Returns    []float64 `json:"returns"`
	ValuesOld  []float64 `json:"values_old"`
	// Losses are those of the check's batch and those before each of ten steps.
	SupervisedLoss float64   `json:"supervised_loss"`
	ClippedLoss    float64   `json:"clipped_loss"`
	StepLosses     []float64 `json:"step_losses"`
}

// The check's settings, which bench/engine.py repeats: every term of PPO's loss takes part.
const (
	checkSteps = 10
	checkRate  = 1e-3
	checkBeta  = 0.05
	// checkNext is the most tokens of the distribution after sequence 0 that are compared.
	checkNext = 512
)

func checkConfig() ppo.Config {
	c := ppo.DefaultConfig()
	c.DualClip, c.EntropyCoef, c.KLPenalty = 3, 0.01, ppo.KLInLossK3
	return c
}

// check writes log-probabilities, entropies, values, two losses with their gradients, and the losses of ten steps.
func (b *bench) check(ctx context.Context) error {
	params, err := job.Params(b.Size)
	if err != nil {
		return err
	}
	batch := b.batch(params.Config().Vocab)
	var out checked
	rows, err := b.forward(ctx, params, batch, &out)
	if err != nil {
		return err
	}
	if out.ClippedLoss, err = b.clipped(ctx, params, batch, rows); err != nil {
		return err
	}
	if err := b.descend(ctx, params, batch, &out); err != nil {
		return err
	}
	return b.saveJSON(fileCheck, out)
}

// forward fills in the scores and draws the loss's rows about them.
func (b *bench) forward(ctx context.Context, params *policy.Params, batch policy.Batch, out *checked) (rows ppo.Rows, err error) {
	trainer, err := policy.NewTrainer(params, b.set, policy.TrainerOptions{})
	if err != nil {
		return rows, err
	}
	scores, err := trainer.Evaluate(ctx, batch)
	if err != nil {
		return rows, err
	}
	out.Logp, out.Entropy, out.Value = scores.Logp, scores.Entropy, scores.Value
	rows = drawRows(batch, scores, hone.Rand(3))
	out.LogpOld, out.LogpRef, out.ValuesOld = rows.LogpOld, rows.LogpRef, rows.ValuesOld
	out.Advantages, out.Returns = rows.Advantages, rows.Returns

	vocab := params.Config().Vocab
	var next policy.Batch
	prefix := job.Sequence(0, b.Prompt, vocab)
	for token := range min(vocab, checkNext) {
		next.Append(append(prefix[:b.Prompt-1:b.Prompt-1], hone.TokenID(token)), b.Prompt-1)
	}
	if scores, err = trainer.Evaluate(ctx, next); err != nil {
		return rows, err
	}
	for token := range min(vocab, checkNext) {
		out.NextLogp = append(out.NextLogp, scores.Logp[(token+1)*b.Prompt-2])
	}
	return rows, nil
}

// drawRows is as if the sampling and the reference policy were near the policy: ratios on both sides of the clip.
func drawRows(batch policy.Batch, scores policy.Scores, r *rand.Rand) ppo.Rows {
	rows := ppo.NewRows(batch.Len())
	for i, target := range batch.Targets {
		if target == policy.NoTarget {
			continue
		}
		rows.Kind[i] = ppo.KindSample
		rows.LogpOld[i] = float64(scores.Logp[i]) + 0.4*r.NormFloat64()
		rows.LogpRef[i] = float64(scores.Logp[i]) + 0.4*r.NormFloat64()
		rows.Advantages[i] = r.NormFloat64()
		rows.Returns[i] = r.NormFloat64()
		rows.ValuesOld[i] = float64(scores.Value[i]) + 0.3*r.NormFloat64()
	}
	return rows
}

// clipped is PPO's loss of the batch, and writes its gradient.
func (b *bench) clipped(ctx context.Context, params *policy.Params, batch policy.Batch, rows ppo.Rows) (value float64, err error) {
	loss := ppo.NewLoss(checkConfig(), checkBeta)
	trainer, err := policy.NewTrainer(params, b.set, policy.TrainerOptions{Loss: loss})
	if err != nil {
		return 0, err
	}
	var totals ppo.Totals
	for _, kind := range rows.Kind {
		totals.Samples += int(kind) // 1 for a sample, 0 for none
	}
	if err := loss.Set(rows, totals); err != nil {
		return 0, err
	}
	if value, err = trainer.Gradient(ctx, batch); err != nil {
		return 0, err
	}
	return value, b.saveParams(fileClipped, trainer.Grads())
}

// descend takes ten supervised steps and writes the first gradient.
func (b *bench) descend(ctx context.Context, params *policy.Params, batch policy.Batch, out *checked) (err error) {
	loss := policy.NewCrossEntropy()
	trainer, err := policy.NewTrainer(params, b.set, policy.TrainerOptions{Loss: loss})
	if err != nil {
		return err
	}
	optimizer, err := policy.NewAdamW(params, policy.DefaultAdamWConfig())
	if err != nil {
		return err
	}
	loss.Set(mean(batch))
	for step := range checkSteps {
		trainer.ZeroGrads()
		value, err := trainer.Gradient(ctx, batch)
		if err != nil {
			return err
		}
		out.StepLosses = append(out.StepLosses, value)
		if step == 0 {
			out.SupervisedLoss = value
			if err := b.saveParams(fileSupervised, trainer.Grads()); err != nil {
				return err
			}
		}
		if _, err := optimizer.Step(b.set, params, trainer.Grads(), checkRate); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) saveParams(name string, params *policy.Params) error {
	return b.save(name, func(w io.Writer) error { return weights.Save(w, params, nil) })
}

func (b *bench) saveJSON(name string, value any) error {
	return b.save(name, func(w io.Writer) error {
		if err := json.NewEncoder(w).Encode(value); err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		return nil
	})
}

// save makes a file of the size's folder.
func (b *bench) save(name string, write func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(b.Folder, name))
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
