package task

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/hone-rl/hone"
)

// Task is a set of problems and their rules. Every method is a pure function of its arguments and of the task's configuration,
// is safe for concurrent use, and returns in bounded time whatever the text: completions come from a model and may be anything.
type Task interface {
	// Name is what [hone.Problem] calls the task, such as "game24".
	Name() string
	// Problem rebuilds a problem from its key. It canonicalises (the numbers of a puzzle may come in any order) and returns
	// [hone.ErrInvalid], with the value and what would be right, for a key that names no problem of this task.
	Problem(key string) (hone.Problem, error)
	// Problems is a split in a fixed order, without duplicates. An unknown split, or one whose data was not handed in, is
	// [hone.ErrNotFound]. The caller owns the slice.
	Problems(split hone.Split) ([]hone.Problem, error)
	// Steps splits a completion into its steps. For tasks whose steps are lines, each step followed by "\n" gives the
	// completion back, the last "\n" excepted where the completion lacks it. An empty completion has no steps.
	Steps(completion string) []string
	// Check judges each step of the completion, in order, carrying the state along: one StepCheck for each of Steps.
	Check(p hone.Problem, completion string) []StepCheck
	// Verify judges the final answer.
	Verify(p hone.Problem, completion string) Verdict
	// State is what the completion has reached, in canonical form: two completions with equal states have the same
	// continuations left, up to returns to earlier states. Terminal tells that an answer was given, right or wrong.
	State(p hone.Problem, completion string) (state string, terminal bool)
	// Need is the number of steps of a shortest solution, the answer included; 0 for a problem that is not of this task.
	Need(p hone.Problem) int
}

// Goaler is a task whose problems can share what is known of a state.
type Goaler interface {
	// Goal names what a problem asks for, such as "24": from equal states problems of one goal have the same continuations, up to
	// returns to earlier states and to the answer, which may speak of the whole problem. It is empty for a problem that is not of this
	// task.
	Goal(p hone.Problem) string
}

// Poser is a task whose problems are questions with a reference answer, which may come from anywhere.
type Poser interface {
	// Pose is the problem of that question, whose right answer is the reference. A reference that is no answer of this task is
	// [hone.ErrInvalid].
	Pose(question, reference string) (hone.Problem, error)
}

// Tester is a task whose answers are programs. A task runs nothing: Verify finds whether there is a program, and what it does is for a
// reward layer to say.
type Tester interface {
	Task
	// Tests are the problem's, at least one; [hone.ErrInvalid] for a problem that is not of this task.
	Tests(p hone.Problem) ([]Test, error)
	// Program is the program that the completion gives as its answer, and false where there is none.
	Program(completion string) (text string, ok bool)
}

// Test is one trial of a program: either Stdout or Assert is given.
type Test struct {
	// Stdin is what the program reads, and Stdout what it must print, up to spaces at the ends of lines and line ends at the end.
	Stdin  string `json:"stdin,omitempty"`
	Stdout string `json:"stdout,omitempty"`
	// Assert is code in the program's language that runs after it and ends with an error where the program is wrong.
	Assert string `json:"assert,omitempty"`
	// Visible tells that the policy was shown the test, so that passing it proves little.
	Visible bool `json:"visible,omitempty"`
}

// StepKind says what a step tries to be. Values are stored; append only.
type StepKind string

// The kinds of steps.
const (
	// StepOperation computes something new.
	StepOperation StepKind = "operation"
	// StepBack gives up a branch and returns to an earlier state.
	StepBack StepKind = "back"
	// StepAnswer gives the answer. The first one counts; every step after it is out of place.
	StepAnswer StepKind = "answer"
	// StepAssumption supposes something that nobody gave; what is derived from it rests on it until a step confirms it.
	StepAssumption StepKind = "assumption"
	// StepOther is anything else.
	StepOther StepKind = "other"
)

// StepCheck is the finding on one step. A step that is parsed, true and legal is a good step, and only a good step moves the
// state: after any other the state stays what it was before the step.
type StepCheck struct {
	Kind StepKind `json:"kind"`
	// Parsed tells that the step follows the grammar.
	Parsed bool `json:"parsed"`
	// True tells that what the step states holds by itself (its arithmetic); false where it is not parsed.
	True bool `json:"true"`
	// Legal tells that the step was allowed where it stands: it uses what is there, states rightly what is left, skips nothing.
	Legal bool `json:"legal"`
	// State is the state after the step, as [Task.State] writes it.
	State string `json:"state"`
	// Final tells that the answer may come next. What is right to answer then depends on the steps that led here, so that texts of one
	// final state can't stand for each other.
	Final bool `json:"final,omitempty"`
	// Reason says why, for a person.
	Reason string `json:"reason"`
}

// Good tells that the step is parsed, true and legal.
func (c StepCheck) Good() bool { return c.Parsed && c.True && c.Legal }

// Verdict is the finding on the final answer.
type Verdict struct {
	Outcome hone.Outcome `json:"outcome"`
	// Reason says why, for a person.
	Reason string `json:"reason"`
}

// Digest is the SHA-256, in hex, of the problems' identities in order, so that a run can record which problems it was given.
func Digest(problems []hone.Problem) string {
	h := sha256.New()
	for _, p := range problems {
		// A hash never fails to write; no key holds a line end.
		_, _ = io.WriteString(h, p.ID()+"\n")
	}
	return hex.EncodeToString(h.Sum(nil))
}
