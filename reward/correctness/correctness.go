// Package correctness is the layer that pays for right answers and for nothing else: 1 for a right one, 0 for any other.
package correctness

import (
	"context"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "correctness"

// Layer verifies answers by a task. Its scores are 0 or 1, exactly; its one term lands on the step that answers, or on the last
// step where none does. A trajectory without steps gets an outcome and no term.
type Layer struct {
	task task.Task
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer for the task.
func New(t task.Task) *Layer { return &Layer{task: t} }

// Name is "correctness".
func (l *Layer) Name() string { return Name }

// Judge gives the outcome and its term. An outcome that is no judgement scores 0 too; it is the trainer's to leave such
// trajectories out.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, _, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	verdict := reward.Verdict(ctx, l.task, p, traj)
	j := reward.Judgement{Outcome: verdict.Outcome}
	if at, _ := reward.AnswerStep(checks); at >= 0 {
		score := 0.0
		if verdict.Outcome == hone.OutcomeRight {
			score = 1
		}
		j.Terms = []hone.Term{{Step: at, Score: score, Reason: verdict.Reason}}
	}
	return j, nil
}
