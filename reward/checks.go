package reward

import (
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// Checks are the task's findings on the trajectory's steps, one for each of traj.Steps. A last step that holds nothing but the
// end-of-sequence token has no text to judge: blank tells of it, and its finding says no more than [task.StepOther]. Steps that
// are not those of the text are [hone.ErrInvalid].
func Checks(t task.Task, p hone.Problem, traj hone.Trajectory) (checks []task.StepCheck, blank bool, err error) {
	checks = t.Check(p, traj.Text)
	if last := len(traj.Steps) - 1; last == len(checks) && traj.Steps[last].Text == "" {
		return append(checks, task.StepCheck{Kind: task.StepOther}), true, nil
	}
	if len(checks) != len(traj.Steps) {
		return nil, false, fmt.Errorf("trajectory has %d steps, its text has %d: %w", len(traj.Steps), len(checks), hone.ErrInvalid)
	}
	return checks, false, nil
}

// AnswerStep is the index of the first answer among the findings; of the last step where there is no answer, and -1 where there
// are no steps.
func AnswerStep(checks []task.StepCheck) (index int, answered bool) {
	for i, c := range checks {
		if c.Kind == task.StepAnswer {
			return i, true
		}
	}
	return len(checks) - 1, false
}
