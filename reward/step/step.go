// Package step is the layer that takes from steps that are not good: not parsed, false, or not legal where they stand (which
// covers numbers that are not there, a wrong list of what is left, a return to nowhere, an answer that skips steps, and anything
// after the answer).
//
// It only takes. A good step scores 0, so no number of them, repeated or padded, is worth anything; a bad one scores -1/need, where
// need is the length of a shortest solution, until the layer's budget of 1 is spent. A trajectory that ends without an answer loses
// what is left of the budget, so that falling silent is never better than trying. The total is in [-1, 0], and 0 means that every
// step was good and led to an answer.
package step

import (
	"context"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "step"

// Layer judges steps by a task.
type Layer struct {
	task task.Task
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer for the task.
func New(t task.Task) *Layer { return &Layer{task: t} }

// Name is "step".
func (l *Layer) Name() string { return Name }

// Judge gives every step a term, in [-1, 0]. A trajectory without steps gets none.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, blank, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	if len(checks) == 0 {
		return reward.Judgement{}, nil
	}
	need := max(1, l.task.Need(p))
	terms := make([]hone.Term, len(checks))
	bad := 0
	for i, c := range checks {
		terms[i] = hone.Term{Step: i, Reason: c.Reason}
		switch {
		case blank && i == len(checks)-1:
			terms[i].Reason = "the end"
		case c.Good():
		case bad < need:
			bad++
			terms[i].Score = -1 / float64(need)
		default:
			terms[i].Reason += "; the budget for bad steps is spent"
		}
	}
	if _, answered := reward.AnswerStep(checks); !answered {
		last := &terms[len(terms)-1]
		last.Score -= float64(need-bad) / float64(need)
		last.Reason += "; the trajectory ends without an answer"
	}
	return reward.Judgement{Terms: terms}, nil
}
