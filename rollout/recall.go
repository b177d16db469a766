package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
)

// recall gives the states of a batch that were solved before the steps that solved them, with the policy's own word on each: it costs
// the decoder a look and no token. A step that isn't good where the state stands, or that doesn't fit, is left out.
func (e *expander) recall(ctx context.Context, batch []expansion) error {
	if e.paths == nil {
		return nil
	}
	var sequences []decode.Sequence
	var asked []*expansion
	for i := range batch {
		x := &batch[i]
		tokens, worth, ok, err := e.solved(x.state)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		x.worth = worth
		sequences = append(sequences, decode.Sequence{
			Prompt: slices.Concat(e.quests[x.state.tree].prompt, x.state.tokens), Tokens: tokens, Temperature: e.cfg.Sampling.Temperature,
		})
		asked = append(asked, x)
	}
	if len(sequences) == 0 {
		return nil
	}
	scores, err := e.decoder.Score(ctx, sequences)
	if err != nil {
		return fmt.Errorf("score %d remembered steps: %w", len(sequences), err)
	}
	if len(scores) != len(sequences) {
		return fmt.Errorf("score %d remembered steps: got %d: %w", len(sequences), len(scores), hone.ErrInvalid)
	}
	for i, x := range asked {
		x.recalled = &decode.Result{
			Tokens: sequences[i].Tokens, Logp: scores[i].Logp, Values: scores[i].Values, Bootstrap: scores[i].Bootstrap,
			Finish: hone.FinishLength, Stopped: true,
		}
	}
	return nil
}

// solved are the tokens of the step that solved a state before, at the state's first evaluation.
func (e *expander) solved(s *state) (tokens []hone.TokenID, earned float64, ok bool, err error) {
	if len(s.taken) > 0 {
		return nil, 0, false, nil
	}
	problem := e.quests[s.tree].problem
	at, done := e.task.State(problem, s.text)
	if done {
		return nil, 0, false, nil
	}
	step, earned, ok := e.paths.Solved(problem, at)
	if !ok {
		return nil, 0, false, nil
	}
	if _, good := e.check(problem, s.text+step+stepEnd); !good {
		return nil, 0, false, nil
	}
	tokens, err = e.tokenizer.Encode(step + stepEnd)
	if err != nil {
		return nil, 0, false, fmt.Errorf("remembered step %q: %w", step, err)
	}
	// Room is left for the end of the sequence, which an answer has to have.
	fits := len(tokens) <= e.cfg.StepTokens && len(s.tokens)+len(tokens) < e.Roller.cfg.MaxTokens
	return tokens, earned, fits, nil
}
