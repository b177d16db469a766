package policy_test

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// A small policy learns one sequence by heart: gradients of the loss on a packed batch, then a step of the optimiser.
func Example() {
	ctx := context.Background()
	set, err := kernel.Open()
	must(err)
	params, err := policy.Init(policy.Config{
		Vocab: 10, Width: 16, Layers: 1, Heads: 2, KVHeads: 1, Hidden: 32, Context: 8, RopeTheta: 10000, NormEps: 1e-5,
	}, 1)
	must(err)
	loss := policy.NewCrossEntropy()
	trainer, err := policy.NewTrainer(params, set, policy.TrainerOptions{Loss: loss})
	must(err)
	optimizer, err := policy.NewAdamW(params, policy.DefaultAdamWConfig())
	must(err)

	var batch policy.Batch
	batch.Append([]hone.TokenID{3, 1, 4, 1, 5, 9}, 1)
	for range 60 {
		loss.Set([]float32{0.2, 0.2, 0.2, 0.2, 0.2, 0})
		trainer.ZeroGrads()
		_, err := trainer.Gradient(ctx, batch)
		must(err)
		_, err = optimizer.Step(set, params, trainer.Grads(), 0.02)
		must(err)
	}
	scores, err := trainer.Evaluate(ctx, batch)
	must(err)
	for i, target := range batch.Targets[:5] {
		fmt.Printf("%d then %d: known %v\n", batch.Tokens[i], target, scores.Logp[i] > -0.1)
	}
	// Output:
	// 3 then 1: known true
	// 1 then 4: known true
	// 4 then 1: known true
	// 1 then 5: known true
	// 5 then 9: known true
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
