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
	// Forbidden says that Completion must not be written after Prompt, and is unlearned. It is a single token where a mask says so, or a
	// step that a verifier found false, behind the steps before it.
	Forbidden bool
}

// rows is the number of tokens that the example takes in a batch.
func (e Example) rows() int { return len(e.Prompt) + len(e.Completion) }

// validate checks an example against the configuration.
func (e Example) validate(c Config) error {
	switch {
	case len(e.Prompt) == 0 || len(e.Completion) == 0:
		return fmt.Errorf("%d prompt tokens and %d of completion, must be at least 1 each: %w",
			len(e.Prompt), len(e.Completion), hone.ErrInvalid)
	case e.rows() > c.BatchTokens:
		return fmt.Errorf("%d tokens do not fit batch_tokens %d: %w", e.rows(), c.BatchTokens, hone.ErrInvalid)
	case e.Forbidden && c.ConstraintCoef == 0:
		return fmt.Errorf("it is forbidden, and constraint_coef is 0; want above 0: %w", hone.ErrInvalid)
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

// pack is the batch of a step and the rows of each of its completions; tokens is the number of those that are learned.
func pack(examples []Example, step []int) (batch policy.Batch, spans []span, tokens int) {
	for _, i := range step {
		e := examples[i]
		first := batch.Len() + len(e.Prompt) - 1
		batch.Append(slices.Concat(e.Prompt, e.Completion), len(e.Prompt))
		spans = append(spans, span{from: first, to: first + len(e.Completion), forbidden: e.Forbidden})
		if !e.Forbidden {
			tokens += len(e.Completion)
		}
	}
	return batch, spans, tokens
}

// weigh is the weight of each row in the mean over completion tokens, [N]: 1/tokens where a completion's token is predicted, else 0.
func weigh(rows int, spans []span, tokens int) []float32 {
	weights := make([]float32, rows)
	for _, s := range spans {
		for i := s.from; i < s.to; i++ {
			weights[i] = 1 / float32(tokens)
		}
	}
	return weights
}
