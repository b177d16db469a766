package rollout

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/token"
)

// mapSteps gives each of the task's steps of a completion its tokens. texts are the steps, which joined with "\n" are the text of
// tokens [T]. A token belongs to the step in which its text starts; one that adds no text, such as the end of sequence, belongs to
// the step before it. The ranges follow each other and cover [0, T). Tokens without any text are one empty step; no tokens are no
// steps. Steps that don't add up to the text are [hone.ErrInvalid].
func mapSteps(texts []string, tokenizer token.Tokenizer, tokens []hone.TokenID) ([]hone.Step, error) {
	if len(texts) == 0 && len(tokens) > 0 {
		texts = []string{""}
	}
	text := tokenizer.Decode(tokens)
	if joined := strings.Join(texts, "\n"); text != joined && text != joined+"\n" {
		return nil, fmt.Errorf("%d steps do not add up to the completion %q: %w", len(texts), text, hone.ErrInvalid)
	}
	steps := make([]hone.Step, 0, len(texts))
	at, end := 0, 0 // bytes of text before the next token, and at the end of the step
	next := 0       // the next token
	for i, s := range texts {
		from := next
		end += len(s) + 1
		for next < len(tokens) && (at < end || i == len(texts)-1) {
			at += len(tokenizer.Piece(tokens[next]))
			next++
		}
		steps = append(steps, hone.Step{Text: s, From: from, To: next})
	}
	return steps, nil
}

// trajectory puts together what every trajectory has, however it was made. The result's tokens become the trajectory's.
func (r *Roller) trajectory(o Origin, p hone.Problem, prompt, tokens []hone.TokenID) (hone.Trajectory, error) {
	text := r.tokenizer.Decode(tokens)
	steps, err := mapSteps(r.task.Steps(text), r.tokenizer, tokens)
	if err != nil {
		return hone.Trajectory{}, fmt.Errorf("problem %s: %w", p.ID(), err)
	}
	return hone.Trajectory{
		ID:        hone.TrajectoryID{Run: o.Run, Iteration: o.Iteration},
		Problem:   p,
		Behaviour: o.Behaviour, Fingerprint: o.Fingerprint,
		Prompt: prompt, Tokens: tokens, Text: text, Steps: steps,
	}, nil
}
