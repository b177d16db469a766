// Package risk is the layer that takes for what must not be written: patterns, words of lists, and whatever a hook for a sensitive
// domain finds. Its total is in [-1, 0].
package risk

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name.
const Name = "risk"

// Rule is one thing that must not be written.
type Rule struct {
	// Name says what it is, for the reason.
	Name string `json:"name" yaml:"name"`
	// Pattern is a regular expression in Go's syntax, which takes time linear in the text. Empty is none.
	Pattern string `json:"pattern,omitempty" yaml:"pattern"`
	// Words are matched whole and without regard to case.
	Words []string `json:"words,omitempty" yaml:"words"`
	// Penalty is taken for each step that matches, in (0, 1].
	Penalty float64 `json:"penalty" yaml:"penalty"`
}

// Config is the rules.
type Config struct {
	Rules []Rule `json:"rules" yaml:"rules"`
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	for i, r := range c.Rules {
		bad := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("rule %d (%s): "+format+": %w", append(append([]any{i + 1, r.Name}, args...), hone.ErrInvalid)...))
		}
		if r.Name == "" {
			bad("has no name")
		}
		if r.Pattern == "" && len(r.Words) == 0 {
			bad("has neither pattern nor words")
		}
		if !(r.Penalty > 0 && r.Penalty <= 1) {
			bad("penalty %v: must be in (0, 1]", r.Penalty)
		}
		if _, err := regexp.Compile(r.Pattern); err != nil {
			bad("%w", err)
		}
	}
	return errors.Join(faults...)
}

// Find is a hook for a domain: the penalty in [0, 1] of a step and why, 0 for none. It is pure, and safe for concurrent use.
type Find func(p hone.Problem, step string) (penalty float64, reason string)

// Layer judges each step's text.
type Layer struct {
	rules []compiled
	hooks []Find
}

type compiled struct {
	Rule
	pattern *regexp.Regexp
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer of the rules and hooks.
func New(cfg Config, hooks ...Find) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("risk configuration: %w", err)
	}
	l := &Layer{hooks: hooks}
	for _, r := range cfg.Rules {
		parts := make([]string, 0, 2)
		if r.Pattern != "" {
			parts = append(parts, r.Pattern)
		}
		if len(r.Words) > 0 {
			words := make([]string, len(r.Words))
			for i, w := range r.Words {
				words[i] = regexp.QuoteMeta(w)
			}
			parts = append(parts, `(?i:(?:^|\PL)(?:`+strings.Join(words, "|")+`)(?:\PL|$))`)
		}
		pattern, err := regexp.Compile(strings.Join(parts, "|"))
		if err != nil {
			return nil, fmt.Errorf("risk rule %s: %w: %w", r.Name, err, hone.ErrInvalid)
		}
		l.rules = append(l.rules, compiled{r, pattern})
	}
	return l, nil
}

// Name is "risk".
func (l *Layer) Name() string { return Name }

// Judge gives a term to each step that matches, until a budget of 1 is spent.
func (l *Layer) Judge(_ context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	left := 1.0
	var terms []hone.Term
	for i, s := range traj.Steps {
		cost := 0.0
		var reasons []string
		for _, r := range l.rules {
			if found := r.pattern.FindString(s.Text); found != "" {
				cost += r.Penalty
				reasons = append(reasons, fmt.Sprintf("%s: %q", r.Name, clip(strings.TrimSpace(found))))
			}
		}
		for _, find := range l.hooks {
			if penalty, reason := find(p, s.Text); penalty > 0 {
				cost += min(penalty, 1)
				reasons = append(reasons, reason)
			}
		}
		if cost = min(cost, left); cost == 0 {
			continue
		}
		left -= cost
		terms = append(terms, hone.Term{Step: i, Score: -cost, Reason: strings.Join(reasons, "; ")})
	}
	return reward.Judgement{Terms: terms}, nil
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
