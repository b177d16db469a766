// Package format is the layer that takes from what does not keep to the task's grammar, whether or not it is true: steps that don't
// parse, and a trajectory without an answer.
//
// It only takes, so a format that is kept is worth nothing by itself (Pan et al. 2025, TinyZero, where 0.1 for the format alone is the
// plateau that training gets stuck on). The total is in [-1, 0].
package format

import (
	"context"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "format"

// Layer judges the grammar of steps by a task.
type Layer struct {
	task task.Task
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer for the task.
func New(t task.Task) *Layer { return &Layer{task: t} }

// Name is "format".
func (l *Layer) Name() string { return Name }

// Judge takes half of what there is in equal parts for steps that don't parse, need of them taking it all, and the other half for a
// missing answer. A trajectory without steps gets no term.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, blank, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil || len(checks) == 0 {
		return reward.Judgement{}, err
	}
	if blank {
		checks = checks[:len(checks)-1]
	}
	const half = 0.5
	need := max(1, l.task.Need(p))
	var terms []hone.Term
	for i, c := range checks {
		if !c.Parsed && len(terms) < need {
			terms = append(terms, hone.Term{Step: i, Score: -half / float64(need), Reason: c.Reason})
		}
	}
	if _, answered := reward.AnswerStep(checks); !answered {
		last := len(traj.Steps) - 1
		const reason = "there is no answer"
		if n := len(terms); n > 0 && terms[n-1].Step == last {
			terms[n-1].Score -= half
			terms[n-1].Reason += "; " + reason
		} else {
			terms = append(terms, hone.Term{Step: last, Score: -half, Reason: reason})
		}
	}
	return reward.Judgement{Terms: terms}, nil
}
