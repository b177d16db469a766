// Package integer is expressions over integers to be computed: the key is the expression, in the grammar of task/arith, and the answer
// its exact value, which may be a fraction. Steps and answers are written as in task/gsm8k.
package integer

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
	"github.com/hone-rl/hone/task/internal/prose"
)

// Name is the task's name.
const Name = "integer"

// need is two operations and an answer.
const need = 3

type rules = prose.Rules

// Task is expressions to be computed. It is a [task.Task], safe for concurrent use.
type Task struct{ *rules }

var _ task.Task = (*Task)(nil)

// New is the task. It has no problems of its own.
func New() *Task { return &Task{rules: prose.NewRules(Name, need, prose.Numeric{})} }

// Problem is the problem of an expression such as "12 * (3 + 4)". Text that is none, and an expression without a value, are
// [hone.ErrInvalid].
func (t *Task) Problem(key string) (hone.Problem, error) {
	_, question, posed := strings.Cut(key, "\n")
	expression := key
	if posed {
		expression = strings.TrimSuffix(strings.TrimPrefix(question, before), after)
	}
	e, err := arith.Parse(expression)
	if err != nil {
		return hone.Problem{}, fmt.Errorf("integer problem: %w", err)
	}
	value, err := e.Value()
	if err != nil {
		return hone.Problem{}, fmt.Errorf("integer problem %s: %w", e, err)
	}
	return t.Pose(before+e.String()+after, value.String())
}

// before and after stand around an expression in a prompt.
const (
	before = "What is "
	after  = "?"
)

// Problems is [hone.ErrNotFound] for every split.
func (*Task) Problems(split hone.Split) ([]hone.Problem, error) {
	return nil, fmt.Errorf("split %q of integer: any expression is a problem: %w", split, hone.ErrNotFound)
}
