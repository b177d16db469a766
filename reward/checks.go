package reward

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// reading is what a task found of the trajectory that a stack scores, so that its layers read it once. A stack asks its layers one after
// another.
type reading struct {
	task    task.Task
	checks  []task.StepCheck
	blank   bool
	err     error
	checked bool
	verdict *task.Verdict
	usage   *Usage
}

type readingKey struct{}

// withReading is a context whose layers share what they read.
func withReading(ctx context.Context) context.Context {
	return context.WithValue(ctx, readingKey{}, &reading{})
}

// readingOf is the shared reading by that task, or one that nobody shares.
func readingOf(ctx context.Context, t task.Task) *reading {
	r, ok := ctx.Value(readingKey{}).(*reading)
	if !ok || r.task != nil && r.task != t {
		return &reading{task: t}
	}
	r.task = t
	return r
}

// Checks are the task's findings on the trajectory's steps, one for each of traj.Steps. A last step that holds nothing but the
// end-of-sequence token has no text to judge: blank tells of it, and its finding says no more than [task.StepOther]. Steps that
// are not those of the text are [hone.ErrInvalid]. The slice is shared and must stay as it is; within a stack, ctx is the one that the
// layer was given.
func Checks(ctx context.Context, t task.Task, p hone.Problem, traj hone.Trajectory) (checks []task.StepCheck, blank bool, err error) {
	r := readingOf(ctx, t)
	if !r.checked {
		r.checks, r.blank, r.err = check(t, p, traj)
		r.checked = true
	}
	return r.checks, r.blank, r.err
}

func check(t task.Task, p hone.Problem, traj hone.Trajectory) (checks []task.StepCheck, blank bool, err error) {
	checks = t.Check(p, traj.Text)
	if last := len(traj.Steps) - 1; last == len(checks) && traj.Steps[last].Text == "" {
		return append(checks, task.StepCheck{Kind: task.StepOther}), true, nil
	}
	if len(checks) != len(traj.Steps) {
		return nil, false, fmt.Errorf("trajectory has %d steps, its text has %d: %w", len(traj.Steps), len(checks), hone.ErrInvalid)
	}
	return checks, false, nil
}

// Verdict is the task's finding on the trajectory's answer, read once within a stack.
func Verdict(ctx context.Context, t task.Task, p hone.Problem, traj hone.Trajectory) task.Verdict {
	r := readingOf(ctx, t)
	if r.verdict == nil {
		v := t.Verify(p, traj.Text)
		r.verdict = &v
	}
	return *r.verdict
}

// Decide gives the layers after it in the stack a verdict that the task can't come to by itself, such as what became of a program that
// was run; [Verdict] then finds this one.
func Decide(ctx context.Context, t task.Task, v task.Verdict) { readingOf(ctx, t).verdict = &v }

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
