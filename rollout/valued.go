package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
)

// Valuer says what the states of texts are worth, in the range of rewards: a process-value model does.
type Valuer interface {
	// Score gives Values and Bootstrap as in [decode.Scores]; the rest is not looked at. Results are in the order of sequences, and each
	// depends on its sequence alone.
	Score(ctx context.Context, sequences []decode.Sequence) ([]decode.Scores, error)
	// Ended is what a text that has ended is worth, from the value at its end and the log-probability that the policy gave it, in nats.
	Ended(value, logp float64) float64
}

// Valued is the same roller with values of v in place of the value head's, wherever a search or another way to answer goes by them; the
// answer is then the ended text that v thinks most of, where no judge is asked. Samples carry v's values, and trajectories of a search
// keep the policy's own. Asking v costs no generated token.
func (r *Roller) Valued(v Valuer) *Roller {
	out := *r
	out.decoder, out.values = valued{Decoder: r.decoder, by: v}, v
	return &out
}

// valued is a decoder whose results have another's values.
type valued struct {
	Decoder
	by Valuer
}

func (d valued) Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	results, err := d.Decoder.Generate(ctx, requests)
	if err != nil || len(results) != len(requests) {
		return results, err
	}
	sequences := make([]decode.Sequence, len(results))
	for i, one := range results {
		sequences[i] = decode.Sequence{Prompt: requests[i].Prompt, Tokens: one.Tokens}
	}
	scores, err := d.by.Score(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("value %d sequences: %w", len(sequences), err)
	}
	if len(scores) != len(sequences) {
		return nil, fmt.Errorf("value %d sequences: got %d: %w", len(sequences), len(scores), hone.ErrInvalid)
	}
	results = slices.Clone(results)
	for i := range results {
		results[i].Values = scores[i].Values
		if results[i].Finish != hone.FinishStop {
			results[i].Bootstrap = scores[i].Bootstrap
		}
	}
	return results, nil
}
