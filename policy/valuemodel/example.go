package valuemodel

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
)

// State is a place in a text, and what it should be worth.
type State struct {
	// At is the number of the example's tokens before it, >= 1.
	At int `json:"at"`
	// Target is the probability to learn, in [0, 1].
	Target float64 `json:"target"`
	// Weight is what the state counts in the loss, > 0: of samples how many of them went through it.
	Weight float64 `json:"weight"`
	// Ended tells that the text ended there, and Logp is then the log-probability that the policy gave it, in nats.
	Ended bool    `json:"ended,omitempty"`
	Logp  float64 `json:"logp,omitempty"`
}

// Example is a text with the states in it.
type Example struct {
	// Tokens are the prompt and what follows, without the end of sequence.
	Tokens []hone.TokenID `json:"tokens"`
	States []State        `json:"states"`
	// Sampled tells that targets are the share of samples of the policy that were right in the end, and weights their number. Where they
	// aren't, targets are a search's.
	Sampled bool `json:"sampled,omitempty"`
}

// Reached is a state by itself: the tokens before it, and what came of it once. Ended and Logp are as in [State].
type Reached struct {
	Tokens []hone.TokenID
	Target float64
	Ended  bool
	Logp   float64
}

// Join makes examples of states: equal ones become one, of their mean target and with their number for its weight, and those that lie on
// the way to another share its example. The order of states changes nothing but the last bits of means.
func Join(reached []Reached, sampled bool) []Example {
	sorted := slices.Clone(reached)
	slices.SortStableFunc(sorted, func(a, b Reached) int { return slices.Compare(a.Tokens, b.Tokens) })
	var out []Example
	var states []State
	for i := 0; i < len(sorted); {
		tokens, n, sum := sorted[i].Tokens, 0, 0.0
		one := State{At: len(tokens)}
		for i < len(sorted) && slices.Equal(sorted[i].Tokens, tokens) {
			sum += sorted[i].Target
			if sorted[i].Ended {
				one.Ended, one.Logp = true, sorted[i].Logp
			}
			n++
			i++
		}
		one.Target, one.Weight = sum/float64(n), float64(n)
		states = append(states, one)
		if i < len(sorted) && len(sorted[i].Tokens) > len(tokens) && slices.Equal(sorted[i].Tokens[:len(tokens)], tokens) {
			continue // it is on the way to the next
		}
		out = append(out, Example{Tokens: tokens, States: states, Sampled: sampled})
		states = nil
	}
	return out
}

// check reports what is wrong with an example for a context and a batch of so many tokens.
func (e Example) check(context, batch int) error {
	if n := len(e.Tokens); n == 0 || n > min(context, batch) {
		return fmt.Errorf("%d tokens: want 1 to %d, as context and batch_tokens have: %w", n, min(context, batch), hone.ErrInvalid)
	}
	if len(e.States) == 0 {
		return fmt.Errorf("no states: want at least one: %w", hone.ErrInvalid)
	}
	for _, s := range e.States {
		if s.At < 1 || s.At > len(e.Tokens) || !(s.Target >= 0 && s.Target <= 1) || !(s.Weight > 0) {
			return fmt.Errorf("state after %d of %d tokens with target %v and weight %v: want a place in the text, a target in [0, 1] and a "+
				"weight above 0: %w", s.At, len(e.Tokens), s.Target, s.Weight, hone.ErrInvalid)
		}
	}
	return nil
}
