package rollout

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/task"
)

// Decoder is a policy that writes: [decode.Engine] is one. What it returns for a request depends on the request alone, up to the
// last bits of floating-point numbers where a kernel's result for a row depends on the other rows.
type Decoder interface {
	// Generate completes each request; results are in the order of requests.
	Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error)
	// Score says what the policy thinks of given tokens; results are in the order of sequences.
	Score(ctx context.Context, sequences []decode.Sequence) ([]decode.Scores, error)
}

// Roller makes trajectories with one policy version. Like its decoder it serves one goroutine at a time.
type Roller struct {
	decoder   Decoder
	tokenizer token.Tokenizer
	task      task.Task
	cfg       Config
	// values are another model's, if it isn't nil; see [Roller.Valued].
	values Valuer
}

// New is a roller for the task's problems. The tokenizer is the one that the decoder's policy was trained with. A bad
// configuration is [hone.ErrInvalid].
func New(decoder Decoder, tokenizer token.Tokenizer, t task.Task, cfg Config) (*Roller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("rollout: %w", err)
	}
	return &Roller{decoder: decoder, tokenizer: tokenizer, task: t, cfg: cfg}, nil
}

// Origin names what trajectories are made for and by.
type Origin struct {
	Run hone.RunID `json:"run"`
	// Iteration is the cycle, from 0.
	Iteration int `json:"iteration"`
	// Behaviour is the policy version behind the decoder.
	Behaviour int `json:"behaviour"`
	// Seed is the run's seed, from which every stream is derived.
	Seed uint64 `json:"seed"`
	// Fingerprint names the kernels behind the decoder.
	Fingerprint string `json:"fingerprint"`
}

// Slot is one prompt of an iteration.
type Slot struct {
	Problem hone.Problem `json:"problem"`
	// Index is the slot's place within the iteration, over all its shards, >= 0.
	Index int `json:"index"`
}

// ProgressFunc hears how much is done. It is called on the goroutine that does the work, between calls of the decoder, with done
// rising to total; nil is allowed where one is asked for.
type ProgressFunc func(done, total int)

func (f ProgressFunc) report(done, total int) {
	if f != nil {
		f(done, total)
	}
}

// prompt is the tokens of a problem's prompt.
func (r *Roller) prompt(p hone.Problem) ([]hone.TokenID, error) {
	ids, err := r.tokenizer.Encode(p.Prompt)
	if err != nil {
		return nil, fmt.Errorf("problem %s: prompt: %w", p.ID(), err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("problem %s: empty prompt: %w", p.ID(), hone.ErrInvalid)
	}
	return ids, nil
}

// prompts are those of the slots, in order. Negative indices are refused, and equal ones, whose trajectories would have one name.
func (r *Roller) prompts(slots []Slot) ([][]hone.TokenID, error) {
	out := make([][]hone.TokenID, len(slots))
	seen := make(map[int]bool, len(slots))
	for i, s := range slots {
		if seen[s.Index] {
			return nil, fmt.Errorf("problem %s: slot %d is given twice: %w", s.Problem.ID(), s.Index, hone.ErrInvalid)
		}
		seen[s.Index] = true
		if s.Index < 0 {
			return nil, fmt.Errorf("problem %s: slot %d: want 0 or more: %w", s.Problem.ID(), s.Index, hone.ErrInvalid)
		}
		ids, err := r.prompt(s.Problem)
		if err != nil {
			return nil, err
		}
		out[i] = ids
	}
	return out, nil
}

// generate is the decoder's, with the count of results held to that of requests.
func (r *Roller) generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results, err := r.decoder.Generate(ctx, requests)
	if err != nil {
		return nil, fmt.Errorf("generate %d sequences: %w", len(requests), err)
	}
	if len(results) != len(requests) {
		return nil, fmt.Errorf("generate %d sequences: got %d: %w", len(requests), len(results), hone.ErrInvalid)
	}
	return results, nil
}
