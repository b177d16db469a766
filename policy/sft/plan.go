package sft

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Example is one demonstration.
type Example struct {
	// Prompt is read and not learned; it has a token at least.
	Prompt []hone.TokenID
	// Completion is learned, whole; it has a token at least, and its last should be the end of sequence.
	Completion []hone.TokenID
}

// rows is the number of tokens that the example takes in a batch.
func (e Example) rows() int { return len(e.Prompt) + len(e.Completion) }

// validate checks an example against the size of a batch.
func (e Example) validate(batchTokens int) error {
	switch {
	case len(e.Prompt) == 0 || len(e.Completion) == 0:
		return fmt.Errorf("%d prompt tokens and %d of completion, must be at least 1 each: %w",
			len(e.Prompt), len(e.Completion), hone.ErrInvalid)
	case e.rows() > batchTokens:
		return fmt.Errorf("%d tokens do not fit batch_tokens %d: %w", e.rows(), batchTokens, hone.ErrInvalid)
	}
	return nil
}

// plan says which examples each step takes: every epoch goes through all of them once, in an order from its own stream, packed
// one after the other into steps of at most batchTokens tokens. It holds indices and is made before the first step, since the
// schedule must know how many there are; lastEpoch is the first step of the last epoch.
func plan(examples []Example, c Config, seed uint64) (steps [][]int, lastEpoch int) {
	for epoch := range c.Epochs {
		lastEpoch = len(steps)
		var step []int
		tokens := 0
		for _, i := range hone.Rand(hone.Seed(seed, "sft", "epoch", epoch)).Perm(len(examples)) {
			n := examples[i].rows()
			if tokens+n > c.BatchTokens {
				steps = append(steps, step)
				step, tokens = nil, 0
			}
			step, tokens = append(step, i), tokens+n
		}
		steps = append(steps, step)
	}
	return steps, lastEpoch
}

// pack is the batch of a step and the weight of each of its rows in the mean over completion tokens, [N]: 1/tokens where a
// completion's token is predicted, else 0.
func pack(examples []Example, step []int) (batch policy.Batch, weights []float32, tokens int) {
	for _, i := range step {
		batch.Append(slices.Concat(examples[i].Prompt, examples[i].Completion), len(examples[i].Prompt))
		tokens += len(examples[i].Completion)
	}
	weights = make([]float32, batch.Len())
	for i, target := range batch.Targets {
		if target != policy.NoTarget {
			weights[i] = 1 / float32(tokens)
		}
	}
	return batch, weights, tokens
}
