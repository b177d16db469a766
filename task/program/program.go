// Package program is questions that a program answers: it stands in the completion's last fenced block, and must pass tests that the
// problem carries.
//
//	Print the sum.            reference: [{"stdin": "1 2\n", "stdout": "3\n"}, {"assert": "assert add(1, 2) == 3"}]
//	Two numbers are read.
//	```python
//	print(sum(map(int, input().split())))
//	```
//
// The package reads and never runs: [Task.Verify] finds whether there is a program, and reward/codetest what it does.
package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// Name is the task's name.
const Name = "program"

const (
	// need is a short function and its fences.
	need = 8
	// The bounds of a problem's tests, in number and in bytes, and of a completion that is read.
	maxTests = 256
	maxBytes = 1 << 20
)

// Task is such questions. It is a [task.Tester] and a [task.Poser], safe for concurrent use.
type Task struct{}

var (
	_ task.Tester = (*Task)(nil)
	_ task.Poser  = (*Task)(nil)
)

// New is the task. It has no problems of its own: they are posed.
func New() *Task { return &Task{} }

// Name is "program".
func (*Task) Name() string { return Name }

// Pose is the problem of a question; the reference is a JSON list of its tests, see [task.Test].
func (*Task) Pose(question, reference string) (hone.Problem, error) {
	rows, err := readRows(reference)
	if err != nil {
		return hone.Problem{}, fmt.Errorf("tests of a program problem: %w", err)
	}
	var canonical bytes.Buffer
	encoder := json.NewEncoder(&canonical)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(rows); err != nil {
		return hone.Problem{}, fmt.Errorf("tests of a program problem: %w", err)
	}
	question = strings.TrimSpace(question)
	return hone.Problem{Task: Name, Key: canonical.String() + question, Prompt: question + "\n"}, nil
}

// row is a test as it is written.
type row struct {
	task.Test

	// Stdout stands before the test's, to tell nothing to be printed from nothing said.
	Stdout *string `json:"stdout,omitempty"`
}

// readRows reads a list and reports what is wrong with it.
func readRows(text string) ([]row, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%d bytes: want at most %d: %w", len(text), maxBytes, hone.ErrInvalid)
	}
	var rows []row
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&rows)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("more follows the list: %w", hone.ErrInvalid)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: want a list like [{\"stdin\": \"1 2\", \"stdout\": \"3\"}, {\"assert\": \"assert f(1) == 2\"}]: %w",
			err, hone.ErrInvalid)
	}
	if len(rows) == 0 || len(rows) > maxTests {
		return nil, fmt.Errorf("%d tests: want 1 to %d: %w", len(rows), maxTests, hone.ErrInvalid)
	}
	for i, r := range rows {
		switch {
		case (r.Stdout == nil) == (strings.TrimSpace(r.Assert) == ""):
			return nil, fmt.Errorf("test %d: want either stdout or assert: %w", i+1, hone.ErrInvalid)
		case r.Stdout == nil && r.Stdin != "":
			return nil, fmt.Errorf("test %d: stdin beside assert: want it beside stdout: %w", i+1, hone.ErrInvalid)
		}
	}
	return rows, nil
}

// Problem rebuilds a problem from its key: the tests on the first line, and the question.
func (t *Task) Problem(key string) (hone.Problem, error) {
	reference, question, _ := strings.Cut(key, "\n")
	return t.Pose(question, reference)
}

// Problems is [hone.ErrNotFound] for every split.
func (*Task) Problems(split hone.Split) ([]hone.Problem, error) {
	return nil, fmt.Errorf("split %q of %s: its problems are posed: %w", split, Name, hone.ErrNotFound)
}

// Tests are those that the problem was posed with.
func (*Task) Tests(p hone.Problem) ([]task.Test, error) {
	reference, _, found := strings.Cut(p.Key, "\n")
	if p.Task != Name || !found {
		return nil, fmt.Errorf("problem of task %q, want %q: %w", p.Task, Name, hone.ErrInvalid)
	}
	rows, err := readRows(reference)
	if err != nil {
		return nil, err
	}
	tests := make([]task.Test, len(rows))
	for i, r := range rows {
		tests[i] = r.Test
		if r.Stdout != nil {
			tests[i].Stdout = *r.Stdout
		}
	}
	return tests, nil
}

// Need is the same for all.
func (t *Task) Need(p hone.Problem) int {
	if _, err := t.Tests(p); err != nil {
		return 0
	}
	return need
}

// Steps are the completion's lines.
func (*Task) Steps(completion string) []string {
	if completion == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(completion, "\n"), "\n")
}

// Verify is [hone.OutcomeUnparsable] where there is no program, and [hone.OutcomeCrashed] where there is one: this verifier can't judge it.
func (t *Task) Verify(p hone.Problem, completion string) task.Verdict {
	if _, err := t.Tests(p); err != nil {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the problem is not of task " + Name}
	}
	if _, ok := t.Program(completion); !ok {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "there is no program: want a fenced block"}
	}
	return task.Verdict{Outcome: hone.OutcomeCrashed, Reason: "the program was not run: that takes a codetest layer, before this one"}
}

// State is how far the completion has come, since any line may change what the next are for.
func (t *Task) State(p hone.Problem, completion string) (state string, terminal bool) {
	state = first
	for _, c := range t.Check(p, completion) {
		state = c.State
		terminal = terminal || c.Kind == task.StepAnswer
	}
	return state, terminal
}
