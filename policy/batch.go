package policy

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// NoTarget is the target of a token whose successor is not scored.
const NoTarget = -1

// Batch is a number of sequences laid end to end. Token i predicts Targets[i]. The caller keeps the slices and does not change them while
// a call with them runs.
type Batch struct {
	// Tokens is [N], each in [0, V).
	Tokens []int32
	// Positions is [N], each in [0, Context): the token's place in its sequence, counted from 0.
	Positions []int32
	// Targets is [N]: the token that follows in the same sequence, or NoTarget.
	Targets []int32
	// Starts is [B+1], not falling, from 0 to N: sequence b is tokens Starts[b] to Starts[b+1]-1.
	Starts []int32
	// Share is the part of a step's tokens that the batch has, in (0, 1], where the step is cut into several batches: the load-balance loss
	// of experts counts by it. 0 means 1. What a token is worth in the loss is the loss's business.
	Share float32
}

// Append adds a sequence. Its tokens from index scored-1 on have their successors as targets, so that tokens[scored:] are scored;
// those before and the last token have none. scored below 1 counts as 1: a first token has no predecessor to predict it.
func (b *Batch) Append(tokens []hone.TokenID, scored int) {
	if len(b.Starts) == 0 {
		b.Starts = append(b.Starts, 0)
	}
	for i, t := range tokens {
		target := int32(NoTarget)
		if i+1 >= scored && i+1 < len(tokens) {
			target = int32(tokens[i+1])
		}
		b.Tokens = append(b.Tokens, int32(t))
		b.Positions = append(b.Positions, int32(i))
		b.Targets = append(b.Targets, target)
	}
	b.Starts = append(b.Starts, int32(len(b.Tokens)))
}

// Len is N, the number of tokens.
func (b Batch) Len() int { return len(b.Tokens) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Tokens, b.Positions, b.Targets, b.Starts = b.Tokens[:0], b.Positions[:0], b.Targets[:0], b.Starts[:0]
	b.Share = 0
}

// validate checks every index, since the kernels trust them.
func (b Batch) validate(c Config) error {
	n := len(b.Tokens)
	if n == 0 {
		return fmt.Errorf("batch is empty: %w", hone.ErrInvalid)
	}
	if len(b.Positions) != n || len(b.Targets) != n {
		return fmt.Errorf("batch has %d tokens, %d positions, %d targets: %w", n, len(b.Positions), len(b.Targets), hone.ErrInvalid)
	}
	if len(b.Starts) < 2 || b.Starts[0] != 0 || int(b.Starts[len(b.Starts)-1]) != n {
		return fmt.Errorf("batch starts %v must run from 0 to %d: %w", ends(b.Starts), n, hone.ErrInvalid)
	}
	if !(b.Share >= 0 && b.Share <= 1) {
		return fmt.Errorf("batch is %v of a step, must be more than 0 and at most 1: %w", b.Share, hone.ErrInvalid)
	}
	for i := 1; i < len(b.Starts); i++ {
		if b.Starts[i] < b.Starts[i-1] {
			return fmt.Errorf("batch start %d is %d, after %d: %w", i, b.Starts[i], b.Starts[i-1], hone.ErrInvalid)
		}
	}
	for i, t := range b.Tokens {
		switch {
		case t < 0 || int(t) >= c.Vocab:
			return fmt.Errorf("token %d is %d, must be below the vocabulary of %d: %w", i, t, c.Vocab, hone.ErrInvalid)
		case b.Positions[i] < 0 || int(b.Positions[i]) >= c.Context:
			return fmt.Errorf("position %d is %d, must be below the context of %d: %w", i, b.Positions[i], c.Context, hone.ErrInvalid)
		case b.Targets[i] < NoTarget || int(b.Targets[i]) >= c.Vocab:
			return fmt.Errorf("target %d is %d, must be below the vocabulary of %d: %w", i, b.Targets[i], c.Vocab, hone.ErrInvalid)
		}
	}
	return nil
}

// ends shortens a long list of starts for a message.
func ends(starts []int32) []int32 {
	if len(starts) <= 2 {
		return starts
	}
	return []int32{starts[0], starts[len(starts)-1]}
}

// Runs cuts indices, in order, into runs that fit a batch of so many tokens, size being those that the example of an index takes. One
// that is larger is a run of its own.
func Runs(indices []int, batchTokens int, size func(i int) int) [][]int {
	var runs [][]int
	tokens := 0
	for _, i := range indices {
		n := size(i)
		if len(runs) == 0 || tokens+n > batchTokens {
			runs, tokens = append(runs, nil), 0
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], i)
		tokens += n
	}
	return runs
}
