package decode_test

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// A fresh policy writes anything, and its value head says 0 of every state.
func Example() {
	tok := token.Arithmetic()
	config, err := policy.Preset(policy.Preset1M, tok.Vocab())
	if err != nil {
		panic(err)
	}
	params, err := policy.Init(config, 1)
	if err != nil {
		panic(err)
	}
	set, err := kernel.Open()
	if err != nil {
		panic(err)
	}
	engine, err := decode.New(params, tok, set, decode.Options{})
	if err != nil {
		panic(err)
	}
	prompt, err := tok.Encode("Use 4 5 6 10 to make 24.\n")
	if err != nil {
		panic(err)
	}
	results, err := engine.Generate(context.Background(), []decode.Request{
		{Prompt: prompt, Seed: 7, MaxTokens: 3, Sampling: decode.Sampling{Temperature: 1}},
	})
	if err != nil {
		panic(err)
	}
	r := results[0]
	fmt.Printf("%d tokens, %d log-probabilities, values %v, finish %q\n", len(r.Tokens), len(r.Logp), r.Values, r.Finish)
	// Output: 3 tokens, 3 log-probabilities, values [0 0 0], finish "length"
}
