package main

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy/decode"
)

// sample times drawing the same number of tokens for each of as many different prompts.
func (b *bench) sample(ctx context.Context) error {
	params, err := job.Params(b.Size)
	if err != nil {
		return err
	}
	vocab := params.Config().Vocab
	engine, err := decode.New(params, endless{vocab}, b.set, decode.Options{MaxLive: b.Batch, Precision: b.precision})
	if err != nil {
		return err
	}
	reqs := make([]decode.Request, b.Batch)
	drawn := 0
	return b.timed(func() error {
		for i := range reqs {
			// The engine remembers what it has read, so every prompt is new.
			reqs[i] = decode.Request{
				Prompt: job.Sequence(drawn, b.Prompt, vocab), Seed: uint64(drawn), MaxTokens: b.New,
				Sampling: decode.Sampling{Temperature: 1},
			}
			drawn++
		}
		results, err := engine.Generate(ctx, reqs)
		if err != nil {
			return err
		}
		for i, r := range results {
			if len(r.Tokens) != b.New {
				return fmt.Errorf("request %d: %d tokens, want %d: %w", i, len(r.Tokens), b.New, hone.ErrInvalid)
			}
		}
		return nil
	})
}

// endless is a tokenizer whose end of sequence is never drawn, so that all sequences have the same length. Its pieces are empty.
type endless struct{ vocab int }

// Name says what it is for.
func (endless) Name() string { return "bench" }

// Vocab is V.
func (e endless) Vocab() int { return e.vocab }

// EOS is no token.
func (endless) EOS() hone.TokenID { return -1 }

// Encode knows no text.
func (endless) Encode(text string) ([]hone.TokenID, error) {
	return nil, fmt.Errorf("encode %q with a tokenizer that has no pieces: %w", text, hone.ErrInvalid)
}

// Decode is empty.
func (endless) Decode([]hone.TokenID) string { return "" }

// Piece is empty.
func (endless) Piece(hone.TokenID) string { return "" }
