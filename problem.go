package hone

// TokenID is an index into a tokenizer's vocabulary, in [0, V).
type TokenID int32

// Split names a set of a task's problems. A task says which splits it has.
type Split string

// The splits that every task has.
const (
	// SplitTrain is what policies are trained on.
	SplitTrain Split = "train"
	// SplitHeldOut is never trained on; results are reported on it.
	SplitHeldOut Split = "heldout"
)

// Problem is one question to the policy. Key is canonical within the task: equal keys are equal problems, and the task can
// rebuild the whole problem from it.
type Problem struct {
	// Task is the name of the task whose problem this is, such as "game24".
	Task string `json:"task"`
	// Key identifies the problem within its task, such as "4 5 6 10".
	Key string `json:"key"`
	// Prompt is the text given to the policy.
	Prompt string `json:"prompt"`
}

// ID is the problem's identity over all tasks: "task:key".
func (p Problem) ID() string { return p.Task + ":" + p.Key }
