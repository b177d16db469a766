// Package efficiency is the layer that takes for what a right answer did not need: steps that were bad or that were given up
// later, steps beyond those of a shortest solution, and tokens beyond a step's allowance. It counts for right answers only, so it
// never pays to give up early, and its total is in [-1, 0].
package efficiency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "efficiency"

// Config says what is allowed before the layer takes.
type Config struct {
	// Span is how many times the steps that are needed may be wasted before the layer has taken all it can, > 0.
	Span float64 `json:"span" yaml:"span"`
	// TokensPerStep is a step's allowance, >= 1. As many tokens beyond it count as one wasted step.
	TokensPerStep int `json:"tokens_per_step" yaml:"tokens_per_step"`
}

// DefaultConfig lets a trajectory waste eight times its need (which is what long reasoning in a context of 512 tokens comes to), and
// allows a step 32 tokens: in the arithmetic vocabulary an operation on four numbers takes about 12, their answer about 18.
func DefaultConfig() Config { return Config{Span: 8, TokensPerStep: 32} }

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var faults []error
	if !(c.Span > 0) {
		faults = append(faults, fmt.Errorf("span %v: must be greater than 0: %w", c.Span, hone.ErrInvalid))
	}
	if c.TokensPerStep < 1 {
		faults = append(faults, fmt.Errorf("tokens_per_step %d: must be at least 1: %w", c.TokensPerStep, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// Layer judges the length of trajectories by a task.
type Layer struct {
	task task.Task
	cfg  Config
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer for the task.
func New(cfg Config, t task.Task) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("efficiency configuration: %w", err)
	}
	return &Layer{task: t, cfg: cfg}, nil
}

// Name is "efficiency".
func (l *Layer) Name() string { return Name }

// Judge gives a term to each step that was wasted or too long. A wasted step scores -1/(Span*need) and each token beyond the
// allowance 1/TokensPerStep of that, until the total is -1.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, blank, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	if reward.Verdict(ctx, l.task, p, traj).Outcome != hone.OutcomeRight {
		return reward.Judgement{}, nil
	}
	if blank {
		checks = checks[:len(checks)-1]
	}
	need := max(1, l.task.Need(p))
	unit := 1 / (l.cfg.Span * float64(need))
	left := 1.0
	var terms []hone.Term
	for i, w := range waste(checks, need) {
		var reasons []string
		if w.steps > 0 {
			reasons = append(reasons, w.reason)
		}
		cost := float64(w.steps)
		if excess := traj.Steps[i].To - traj.Steps[i].From - l.cfg.TokensPerStep; excess > 0 {
			cost += float64(excess) / float64(l.cfg.TokensPerStep)
			reasons = append(reasons, fmt.Sprintf("%d tokens beyond the %d that a step is allowed", excess, l.cfg.TokensPerStep))
		}
		if cost == 0 {
			continue
		}
		cost = min(cost*unit, left)
		left -= cost
		terms = append(terms, hone.Term{Step: i, Score: 0 - cost, Reason: strings.Join(reasons, "; ")})
	}
	return reward.Judgement{Terms: terms}, nil
}

// wasted is how many steps are charged to a step, and why.
type wasted struct {
	steps  int
	reason string
}

// waste finds what each step of a right trajectory is charged: itself, unless it is on the branch that led to the answer; and, to
// the answer, how much longer that branch is than need. Whether the answer skipped steps is for the step layer to say.
func waste(checks []task.StepCheck, need int) []wasted {
	charges := make([]wasted, len(checks))
	branches := make(map[string][]int) // for each state the steps that first led to it; none led to the first
	var branch []int
	answer, _ := reward.AnswerStep(checks)
	for i, c := range checks[:answer] {
		switch {
		case !c.Good():
			charges[i].reason = "not a good step"
		case c.Kind == task.StepBack:
			charges[i].reason = "gives up a branch"
			branch = branches[c.State]
		default:
			charges[i].reason = "belongs to a branch that was given up"
			branch = append(slices.Clone(branch), i)
			if _, known := branches[c.State]; !known {
				branches[c.State] = branch
			}
		}
		charges[i].steps = 1
	}
	for _, i := range branch {
		charges[i] = wasted{}
	}
	if length := len(branch) + 1; length > need {
		charges[answer] = wasted{steps: length - need, reason: fmt.Sprintf("the branch has %d steps, %d are enough", length, need)}
	}
	for i := answer + 1; i < len(checks); i++ {
		charges[i] = wasted{steps: 1, reason: "comes after the answer"}
	}
	return charges
}
