package latex

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/internal/prose"
)

// Name is the task's name.
const Name = "latex"

// need is that of a short derivation with its answer.
const need = 4

type rules = prose.Rules

// Task is mathematical problems with an answer in LaTeX: what stands in the last \boxed{} of the completion, or after "####" or "answer
// is". It is a [task.Task] and a [task.Poser], safe for concurrent use.
type Task struct{ *rules }

var (
	_ task.Task  = (*Task)(nil)
	_ task.Poser = (*Task)(nil)
)

// New is the task. It has no problems of its own: they are posed.
func New() *Task { return &Task{rules: prose.NewRules(Name, need, grader{})} }

// Equal tells whether two answers are one mathematical object. Text that can't be read is [hone.ErrInvalid].
func Equal(a, b string) (bool, error) {
	x, err := parse(a)
	if err != nil {
		return false, err
	}
	y, err := parse(b)
	if err != nil {
		return false, err
	}
	return equal(x, y), nil
}

// grader compares mathematical objects.
type grader struct{}

// Reference is the reference on one line, out of its box if it has one.
func (grader) Reference(text string) (string, error) {
	if body, ok := prose.Boxed(text); ok {
		text = body
	}
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "", fmt.Errorf("the reference is empty: want an answer such as \\frac{1}{2}: %w", hone.ErrInvalid)
	}
	if _, err := parse(text); err != nil {
		return "", err
	}
	return text, nil
}

// Find takes what stands in \boxed, which is firm, or follows "####" or "answer is".
func (grader) Find(line string) (answer string, firm, found bool) {
	if body, ok := prose.Boxed(line); ok {
		return body, true, true
	}
	if _, after, ok := strings.Cut(line, "####"); ok {
		return strings.TrimSpace(after), false, true
	}
	answer, found = prose.AfterPhrase(line)
	return answer, false, found
}

// Grade compares the answer with the reference. An answer that can't be read is unparsable, unless it is the reference by letter.
func (grader) Grade(reference, answer string) task.Verdict {
	if strings.Join(strings.Fields(answer), " ") == reference {
		return task.Verdict{Outcome: hone.OutcomeRight, Reason: "it is the reference"}
	}
	want, err := parse(reference)
	if err != nil {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the reference: " + plain(err)}
	}
	got, err := parse(answer)
	if err != nil {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: plain(err)}
	}
	if !equal(got, want) {
		return task.Verdict{Outcome: hone.OutcomeWrong, Reason: clip(answer) + " is not " + clip(reference)}
	}
	return task.Verdict{Outcome: hone.OutcomeRight, Reason: clip(answer) + " equals " + clip(reference)}
}

// plain is a fault without the sentinel's name.
func plain(err error) string { return strings.TrimSuffix(err.Error(), ": "+hone.ErrInvalid.Error()) }
