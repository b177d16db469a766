package hone

import "fmt"

// RunID identifies a training run: a UUID in its canonical text form.
type RunID string

// TrajectoryID is a trajectory's natural key.
type TrajectoryID struct {
	Run RunID `json:"run"`
	// Iteration is the cycle that sampled it, from 0.
	Iteration int `json:"iteration"`
	// Sample is the index within the iteration: prompt slot * group size + member.
	Sample int `json:"sample"`
}

// String is "run/iteration/sample".
func (id TrajectoryID) String() string {
	return fmt.Sprintf("%s/%d/%d", id.Run, id.Iteration, id.Sample)
}

// Finish says why a trajectory ended, as the sampler saw it. Values are stored; append only.
type Finish string

// The ways in which a trajectory ends.
const (
	// FinishStop is an end-of-sequence token: termination, no bootstrap.
	FinishStop Finish = "stop"
	// FinishLength is the token limit: truncation, the value of the last state is bootstrapped.
	FinishLength Finish = "length"
	// FinishError is a sampler's failure; the trajectory is counted and never trained on.
	FinishError Finish = "error"
)

// Source says how a trajectory was made. Values are stored; append only.
type Source string

// The sources of trajectories.
const (
	// SourceSample is plain sampling from the policy: on-policy data for PPO.
	SourceSample Source = "sample"
	// SourceSearch is the best line of a tree search: its tokens are the search's choice, not a sample of the policy, so it is
	// trained on by imitation and never by the policy gradient.
	SourceSearch Source = "search"
)

// Step is one step of reasoning: what the task says, usually a line.
type Step struct {
	// Text is the step as written, without its line end.
	Text string `json:"text"`
	// From and To are the half-open range of the step's tokens within the completion. The token that ends the step belongs to it.
	From int `json:"from"`
	To   int `json:"to"`
}

// Trajectory is one completion of one problem's prompt, as it was generated. It is immutable once stored: scoring it again
// makes a new scoring beside it.
type Trajectory struct {
	ID      TrajectoryID `json:"id"`
	Problem Problem      `json:"problem"`
	// Behaviour is the policy version that generated it.
	Behaviour int    `json:"behaviour"`
	Source    Source `json:"source"`
	// Seed is the start of its random stream, derived from names alone; with Behaviour it regenerates the trajectory.
	Seed uint64 `json:"seed"`
	// Fingerprint names the kernels that computed it.
	Fingerprint string `json:"fingerprint"`
	// Prompt is the tokens of Problem.Prompt.
	Prompt []TokenID `json:"prompt"`
	// Tokens is [T], the completion with its end-of-sequence token, if it got that far.
	Tokens []TokenID `json:"tokens"`
	// Logp is [T]: the natural log of the probability of each token at the sampling temperature, before top-k and top-p.
	Logp []float32 `json:"logp"`
	// Values is [T]: V of the state before each token.
	Values []float32 `json:"values"`
	// Bootstrap is V of the state after the last token; it counts only where Finish is FinishLength.
	Bootstrap float32 `json:"bootstrap"`
	Finish    Finish  `json:"finish"`
	// Text is the completion decoded, without the end-of-sequence token.
	Text string `json:"text"`
	// Steps cover Tokens in order without gaps.
	Steps []Step `json:"steps"`
}
