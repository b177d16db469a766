package decode

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Sampling says how a token is drawn from the logits z [V]. The order is: p = softmax(z / Temperature); TopK keeps the k most
// probable tokens; TopP keeps, of those and with their probabilities rescaled to sum to 1, the fewest most probable ones whose
// sum is at least TopP; one of what is left is drawn in proportion to p. Ties go to the lower id.
type Sampling struct {
	// Temperature divides the logits, > 0; 0 is greedy: the most probable token, whatever TopK and TopP say.
	Temperature float64 `json:"temperature" yaml:"temperature"`
	// TopK is the number of tokens kept, >= 1; 0 keeps all.
	TopK int `json:"top_k" yaml:"top_k"`
	// TopP is the probability kept, in (0, 1]; 0 and 1 keep all. At least one token is always kept.
	TopP float64 `json:"top_p" yaml:"top_p"`
}

// Validate reports all values that are out of range, wrapping hone.ErrInvalid.
func (s Sampling) Validate() error {
	var faults []error
	if s.Temperature != 0 {
		faults = append(faults, checkTemperature(s.Temperature))
	}
	if s.TopK < 0 {
		faults = append(faults, fmt.Errorf("top_k %d: want 0 (all) or more: %w", s.TopK, hone.ErrInvalid))
	}
	if !(s.TopP >= 0 && s.TopP <= 1) {
		faults = append(faults, fmt.Errorf("top_p %v: want [0, 1]: %w", s.TopP, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// checkTemperature refuses what can't divide float32 logits.
func checkTemperature(t float64) error {
	if !(t > 0) || math.IsInf(t, 0) || math.IsInf(float64(float32(1/t)), 0) {
		return fmt.Errorf("temperature %v: want 0 (greedy) or a positive finite number: %w", t, hone.ErrInvalid)
	}
	return nil
}

// Request asks for one completion.
type Request struct {
	// Prompt is the whole prefix, at least one token and at most the policy's context.
	Prompt []hone.TokenID
	// Seed starts this request's random stream, hone.Rand(Seed). One uniform number is drawn from it for each token, greedy
	// or not, so the n-th token uses the n-th number whatever other requests do.
	Seed uint64
	// MaxTokens is the most tokens to generate, EOS included, >= 0. With 0 only Bootstrap is computed: V of the prompt's state.
	MaxTokens int
	// Sampling says how tokens are drawn.
	Sampling Sampling
	// Stop strings end the generation after the token that completes one of them. They are looked for in the generated text
	// alone, across tokens; none may be empty.
	Stop []string
	// Alternatives is the number of tokens, >= 0, to list at each position beside the one drawn.
	Alternatives int
}

// Alternative is a token that might have stood at a position.
type Alternative struct {
	Token hone.TokenID
	// Logp is as Result.Logp.
	Logp float32
}

// Result is one completion of T tokens.
type Result struct {
	// Tokens is [T]. EOS, if it was drawn, is the last of them.
	Tokens []hone.TokenID
	// Logp is [T]: the natural log of each token's probability at the request's temperature (at 1 when greedy), before TopK and
	// TopP, in nats, <= 0.
	Logp []float32
	// Values is [T]: V of the state before each token.
	Values []float32
	// Alternatives is [T][k]: the most probable tokens but for the one drawn, the likeliest first, the lower id of equals; k is
	// Request.Alternatives or one less than the vocabulary. It is nil where none were asked for.
	Alternatives [][]Alternative
	// Bootstrap is V of the state after the last token where Finish is hone.FinishLength, and 0 where it is hone.FinishStop.
	Bootstrap float32
	// Finish is hone.FinishStop if and only if the last token is EOS. A completion cut off by MaxTokens, by the context or by
	// a stop string is hone.FinishLength.
	Finish hone.Finish
	// Stopped tells that a stop string ended it.
	Stopped bool
}

// Sequence is a completion whose tokens are given, for [Engine.Score].
type Sequence struct {
	// Prompt is as in Request. Prompt and Tokens together fit the context.
	Prompt []hone.TokenID
	// Tokens is [T], EOS included if the completion has it.
	Tokens []hone.TokenID
	// Temperature divides the logits, > 0; 0 means 1.
	Temperature float64
}

// Scores are what the policy says of a sequence's tokens.
type Scores struct {
	// Logp and Values are [T], as in Result.
	Logp, Values []float32
	// Bootstrap is V of the state after the last token.
	Bootstrap float32
}

// limits are what the policy can take.
type limits struct{ vocab, context int }

func (l limits) request(r Request) error {
	err := errors.Join(l.prompt(r.Prompt, 0), r.Sampling.Validate())
	if r.MaxTokens < 0 {
		err = errors.Join(err, fmt.Errorf("max tokens %d: want 0 or more: %w", r.MaxTokens, hone.ErrInvalid))
	}
	if r.Alternatives < 0 {
		err = errors.Join(err, fmt.Errorf("alternatives %d: want 0 or more: %w", r.Alternatives, hone.ErrInvalid))
	}
	for i, stop := range r.Stop {
		if stop == "" {
			err = errors.Join(err, fmt.Errorf("stop string %d is empty: %w", i, hone.ErrInvalid))
		}
	}
	return err
}

func (l limits) sequence(s Sequence) error {
	err := errors.Join(l.prompt(s.Prompt, len(s.Tokens)), l.tokens("token", s.Tokens))
	if s.Temperature != 0 {
		err = errors.Join(err, checkTemperature(s.Temperature))
	}
	return err
}

// prompt checks a prompt that further tokens are to follow.
func (l limits) prompt(prompt []hone.TokenID, further int) error {
	switch n := len(prompt); {
	case n == 0:
		return fmt.Errorf("empty prompt: want at least one token: %w", hone.ErrInvalid)
	case n+further > l.context && further == 0:
		return fmt.Errorf("prompt of %d tokens: the context is %d: %w", n, l.context, hone.ErrInvalid)
	case n+further > l.context:
		return fmt.Errorf("prompt of %d and %d tokens: the context is %d: %w", n, further, l.context, hone.ErrInvalid)
	}
	return l.tokens("prompt token", prompt)
}

func (l limits) tokens(what string, ids []hone.TokenID) error {
	for i, id := range ids {
		if id < 0 || int(id) >= l.vocab {
			return fmt.Errorf("%s %d is %d: want [0, %d): %w", what, i, id, l.vocab, hone.ErrInvalid)
		}
	}
	return nil
}
