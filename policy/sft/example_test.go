package sft_test

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/sft"
)

// A tiny policy learns to answer token 1 with tokens 2 and 3 (the end of sequence here).
func ExampleFit() {
	shape := policy.DefaultConfig()
	shape.Vocab, shape.Width, shape.Layers, shape.Heads, shape.KVHeads, shape.Hidden = 4, 16, 1, 2, 1, 32
	params, err := policy.Init(shape, 1)
	if err != nil {
		panic(err)
	}
	config := sft.DefaultConfig()
	config.Epochs, config.LearningRate, config.Warmup = 30, 0.02, 0
	result, err := sft.Fit(context.Background(), sft.Input{
		Params: params, Set: kernel.Portable(), Config: config,
		Examples: []sft.Example{{Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{2, 3}}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Steps, "steps,", result.Tokens, "tokens, learned:", result.LastLoss < 0.1)
	// Output:
	// 30 steps, 60 tokens, learned: true
}
