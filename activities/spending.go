package activities

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
)

// Spending is what a mode of evaluation says: a way to answer, and of a way that spends a budget, how.
//
//	greedy    search    verified    puct@2000    best_of+verified@500    gumbel+leaves=16+unshared@2000    puct+value=9f86…@2000
type Spending struct {
	// Way is [rollout.ModeGreedy], [rollout.ModeSearch] or one of [rollout.Spending].
	Way rollout.Mode
	// Verified tells that the verifier checks each finished answer as it is found.
	Verified bool
	// Leaves and Unshared are as in [rollout.EvaluateInput].
	Leaves   int
	Unshared bool
	// Value is the stored process-value model whose values the way goes by; "" is the policy's own value head.
	Value blob.Digest
	// Budget is the most tokens to generate for a problem; 0 where the way has none.
	Budget int
}

// Mode is the spending in words, as it is stored.
func (s Spending) Mode() Mode {
	switch {
	case s.Way == rollout.ModeSearch && s.Verified:
		return ModeVerified
	case s.Budget == 0:
		return Mode(s.Way)
	}
	words := []string{string(s.Way)}
	if s.Verified {
		words = append(words, "verified")
	}
	if s.Leaves > 0 {
		words = append(words, "leaves="+strconv.Itoa(s.Leaves))
	}
	if s.Unshared {
		words = append(words, "unshared")
	}
	if s.Value != "" {
		words = append(words, "value="+string(s.Value))
	}
	return Mode(strings.Join(words, "+") + "@" + strconv.Itoa(s.Budget))
}

// ParseMode reads what [Spending.Mode] writes. Anything else is [hone.ErrInvalid].
func ParseMode(m Mode) (Spending, error) {
	switch m {
	case ModeGreedy:
		return Spending{Way: rollout.ModeGreedy}, nil
	case ModeSearch:
		return Spending{Way: rollout.ModeSearch}, nil
	case ModeVerified:
		return Spending{Way: rollout.ModeSearch, Verified: true}, nil
	}
	refused := fmt.Errorf("mode %q: want one of %q, or one of %q with a budget of tokens, such as \"puct@2000\": %w",
		m, Modes(), rollout.Spending(), hone.ErrInvalid)
	how, budget, ok := strings.Cut(string(m), "@")
	words := strings.Split(how, "+")
	s := Spending{Way: rollout.Mode(words[0])}
	var err error
	if s.Budget, err = strconv.Atoi(budget); !ok || err != nil || s.Budget < 1 || !slices.Contains(rollout.Spending(), s.Way) {
		return Spending{}, refused
	}
	for _, word := range words[1:] {
		if err != nil {
			break
		}
		leaves, many := strings.CutPrefix(word, "leaves=")
		value, valued := strings.CutPrefix(word, "value=")
		switch {
		case valued:
			s.Value = blob.Digest(value)
			err = s.Value.Validate()
		case word == "verified":
			s.Verified = true
		case word == "unshared":
			s.Unshared = true
		case many:
			s.Leaves, err = strconv.Atoi(leaves)
		}
	}
	if err != nil || s.Mode() != m { // words unknown, given twice or in another order
		return Spending{}, refused
	}
	return s, nil
}
