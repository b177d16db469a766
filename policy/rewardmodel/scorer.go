package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/policy/weights"
)

// The metadata of a model's file.
const (
	keyKind      = "kind"
	kind         = "reward model"
	keyTokenizer = "tokenizer"
	keyPairs     = "pairs"
	keyAccuracy  = "held_out_accuracy"
)

// Save writes a model that was trained on texts of that tokenizer.
func Save(w io.Writer, params *policy.Params, tok token.Tokenizer, stats Stats) error {
	meta := map[string]string{keyKind: kind, keyTokenizer: tok.Name(), keyPairs: strconv.Itoa(stats.Pairs)}
	if stats.HeldOut.Pairs > 0 {
		meta[keyAccuracy] = strconv.FormatFloat(stats.HeldOut.Accuracy, 'g', -1, 64)
	}
	return weights.Save(w, params, meta)
}

// Scorer asks a model. It is safe for concurrent use, and gives the same bits on the same kernels, whatever else is asked beside.
type Scorer struct {
	mu      sync.Mutex // the engine serves one caller at a time
	engine  *decode.Engine
	token   token.Tokenizer
	digest  string
	context int
}

// Load reads what Save wrote. A file that is a policy and no reward model is [hone.ErrInvalid]; damage is [hone.ErrCorrupt].
func Load(r io.Reader, set *kernel.Set) (*Scorer, error) {
	params, meta, err := weights.Load(r)
	if err != nil {
		return nil, err
	}
	if meta[keyKind] != kind {
		return nil, fmt.Errorf("the file holds a policy and no reward model: %w", hone.ErrInvalid)
	}
	tok, err := token.Open(meta[keyTokenizer])
	if err != nil {
		return nil, err
	}
	return NewScorer(params, tok, set)
}

// NewScorer asks the model of these parameters, which must stay as they are.
func NewScorer(params *policy.Params, tok token.Tokenizer, set *kernel.Set) (*Scorer, error) {
	engine, err := decode.New(params, tok, set, decode.Options{})
	if err != nil {
		return nil, err
	}
	return &Scorer{engine: engine, token: tok, digest: params.Digest(), context: params.Config().Context}, nil
}

// Digest names the model's values.
func (s *Scorer) Digest() string { return s.digest }

// Score is r of a completion of the prompt. Ended tells that the completion is whole, and was not cut off. A text that the model can't read
// is no error: why then says why not, and is empty otherwise.
func (s *Scorer) Score(ctx context.Context, prompt, completion string, ended bool) (r float64, why string, err error) {
	before, after, err := Encode(s.token, prompt, completion, ended)
	if errors.Is(err, hone.ErrInvalid) {
		return 0, "the model has no words for it", nil
	}
	if err != nil {
		return 0, "", err
	}
	if n := len(before) + len(after); len(before) == 0 || len(after) == 0 || n > s.context {
		return 0, fmt.Sprintf("the model reads 2 to %d tokens, not %d", s.context, n), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	scores, err := s.engine.Score(ctx, []decode.Sequence{{Prompt: before, Tokens: after, Temperature: 1}})
	if err != nil {
		return 0, "", fmt.Errorf("reward model: %w", err)
	}
	return float64(scores[0].Bootstrap), "", nil
}

// Encode is how a model reads a prompt and its completion, in training and after: by the tokenizer, whatever tokens a sampler chose to
// write the same text. Text that it can't write is [hone.ErrInvalid].
func Encode(tok token.Tokenizer, prompt, completion string, ended bool) (before, after []hone.TokenID, err error) {
	if before, err = tok.Encode(prompt); err != nil {
		return nil, nil, fmt.Errorf("prompt: %w", err)
	}
	if after, err = tok.Encode(completion); err != nil {
		return nil, nil, fmt.Errorf("completion: %w", err)
	}
	if ended {
		after = append(after, tok.EOS())
	}
	return before, after, nil
}
