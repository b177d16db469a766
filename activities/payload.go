package activities

import (
	"encoding/json"

	"github.com/hone-rl/hone"
)

// Everything in this file crosses Temporal: ids, counts and small summaries, never tokens, trees or weights. Fields are only
// ever added, since histories written by an older binary must still decode. Every number is finite: JSON has no NaN.

// The types of the Temporal application errors that trying again can't help. They name the root package's sentinels; the
// workflows' retry policy lists them.
const (
	// ErrorInvalid stands for [hone.ErrInvalid].
	ErrorInvalid = "hone.Invalid"
	// ErrorNotFound stands for [hone.ErrNotFound].
	ErrorNotFound = "hone.NotFound"
	// ErrorNonFinite stands for [hone.ErrNonFinite].
	ErrorNonFinite = "hone.NonFinite"
	// ErrorCorrupt stands for [hone.ErrCorrupt].
	ErrorCorrupt = "hone.Corrupt"
)

// Heartbeat is what every activity reports every two seconds, from a ticker beside the work: what it does now and
// how far it is, for a person and for the server that would otherwise take it for dead.
type Heartbeat struct {
	// Phase names the work, such as "sample" or "epoch 2 of 4".
	Phase string `json:"phase"`
	// Done and Total count Unit; Total is 0 where it isn't known.
	Done  int64 `json:"done"`
	Total int64 `json:"total,omitempty"`
	// Unit is what is counted, in the plural: "trajectories", "tokens", "problems".
	Unit string `json:"unit"`
	// Rate is Unit per second since the activity started, >= 0.
	Rate float64 `json:"rate"`
}

// PrepareInput asks for a run by name.
type PrepareInput struct {
	// Name is the run's name, unique among all runs.
	Name string `json:"name"`
	// Config is the resolved configuration, stored with the run when it is created.
	Config json.RawMessage `json:"config"`
}

// PrepareOutput is where the run stands.
type PrepareOutput struct {
	Run hone.RunID `json:"run"`
	// Version is the head: the newest published policy version, or -1 before the supervised start. Cycle i starts from
	// version i and publishes version i+1, so Version is also the number of cycles done and the next iteration.
	Version int `json:"version"`
	// Manifest is the head's digest, hex, or "" while Version is -1.
	Manifest string `json:"manifest,omitempty"`
	// Staleness is by how many versions the policy that samples may be behind the one that learns; 0 samples and learns in turn.
	Staleness int `json:"staleness,omitempty"`
}

// SupervisedStartInput asks for policy version 0.
type SupervisedStartInput struct {
	Run hone.RunID `json:"run"`
}

// SupervisedStartOutput says what version 0 was trained on.
type SupervisedStartOutput struct {
	// Version is 0.
	Version  int    `json:"version"`
	Manifest string `json:"manifest"`
	// Examples is the number of traces imitated, Steps that of optimiser steps.
	Examples int `json:"examples"`
	Steps    int `json:"steps"`
	// Loss is the mean cross-entropy of the last epoch, nats per token.
	Loss float64 `json:"loss"`
	// Seconds is the time the last attempt took.
	Seconds float64 `json:"seconds"`
}

// RolloutShardInput asks for one shard of an iteration's trajectories. (Run, Iteration, Round, Shard) is its identity: a second call
// returns what is stored.
type RolloutShardInput struct {
	Run       hone.RunID `json:"run"`
	Iteration int        `json:"iteration"`
	// Shard is in [0, Shards).
	Shard  int `json:"shard"`
	Shards int `json:"shards"`
	// Behaviour is the policy version that samples: Iteration, or as many before it as the run's staleness, and never below 0.
	Behaviour int `json:"behaviour"`
	// Round is the one that the shard is a part of.
	Round Round `json:"round,omitzero"`
}

// Round is a part of a cycle's sampling. The zero value is the first: the cycle's own prompts, sampled and searched. Further ones hold
// prompts to sample that make up for groups of which nothing is learned.
type Round struct {
	// Number counts from 0.
	Number int `json:"number"`
	// From and To bound the slots of a further round's prompts: [From, To).
	From int `json:"from"`
	To   int `json:"to"`
}

// RolloutShardOutput counts what one shard stored.
type RolloutShardOutput struct {
	// Prompts is the number of problems of the shard; each ended in one of the states below.
	Prompts int `json:"prompts"`
	// Trajectories were stored; Searched of them are best lines of a search.
	Trajectories int `json:"trajectories"`
	Searched     int `json:"searched"`
	// Tokens is the number of completion tokens of all trajectories.
	Tokens int64 `json:"tokens"`
	// Stopped, Cut and Failed split Trajectories by how they ended: end of sequence, token limit, sampler's failure.
	Stopped int `json:"stopped"`
	Cut     int `json:"cut"`
	Failed  int `json:"failed"`
	// Seconds is the time the last attempt took.
	Seconds float64 `json:"seconds"`
}

// ScoreInput asks for the live scoring of an iteration's trajectories.
type ScoreInput struct {
	Run       hone.RunID `json:"run"`
	Iteration int        `json:"iteration"`
	// Behaviour is the policy version that sampled them.
	Behaviour int `json:"behaviour"`
	// Round is the one that is scored; those before it are.
	Round Round `json:"round,omitzero"`
}

// ScoreOutput sums up the rewards of an iteration, of all rounds up to the one that was scored.
type ScoreOutput struct {
	Trajectories int      `json:"trajectories"`
	Outcomes     Outcomes `json:"outcomes"`
	// Reward is the mean total over the judged trajectories; it is the sum of Layers' means.
	Reward float64 `json:"reward"`
	// Layers are in the order of the stack.
	Layers []LayerMean `json:"layers"`
	// Next is the round to sample and score before the update; zero where there is none.
	Next    Round   `json:"next,omitzero"`
	Seconds float64 `json:"seconds"`
}

// Outcomes counts trajectories by the verifier's finding; the fields sum to the number verified.
type Outcomes struct {
	Right      int `json:"right"`
	Wrong      int `json:"wrong"`
	Unparsable int `json:"unparsable"`
	Timeout    int `json:"timeout"`
	Crashed    int `json:"crashed"`
}

// LayerMean is one reward layer's mean weighted total per judged trajectory.
type LayerMean struct {
	Layer string  `json:"layer"`
	Mean  float64 `json:"mean"`
}

// UpdateInput asks for the policy version that follows an iteration.
type UpdateInput struct {
	Run       hone.RunID `json:"run"`
	Iteration int        `json:"iteration"`
	// Behaviour is the version that sampled. The update starts from the version of the iteration's number, which is the head.
	Behaviour int `json:"behaviour"`
}

// UpdateOutput sums up one update. The new version is published (weights, optimiser, coefficient, consumed trajectories in one
// transaction) before it is returned; a second call returns what is published.
type UpdateOutput struct {
	// Version is Iteration + 1.
	Version  int    `json:"version"`
	Manifest string `json:"manifest"`
	// Trajectories and Tokens are what was trained on.
	Trajectories int   `json:"trajectories"`
	Tokens       int64 `json:"tokens"`
	// Steps is the number of steps that the optimiser took before the end or the early stop.
	Steps int `json:"steps"`
	// KL is the mean divergence from the behaviour policy after the last epoch, ReferenceKL that from the reference policy;
	// nats per token.
	KL          float64 `json:"kl"`
	ReferenceKL float64 `json:"reference_kl"`
	// KLCoefficient is the penalty's weight after the adaptive controller's step.
	KLCoefficient float64 `json:"kl_coefficient"`
	// ClipFraction is the share of tokens whose ratio was clipped, in [0, 1].
	ClipFraction float64 `json:"clip_fraction"`
	// Entropy is nats per token.
	Entropy    float64 `json:"entropy"`
	PolicyLoss float64 `json:"policy_loss"`
	ValueLoss  float64 `json:"value_loss"`
	// GradNorm is the mean global norm before clipping.
	GradNorm float64 `json:"grad_norm"`
	// Alarm says why the run should be paused and looked at, where the guard of its configuration found a reason.
	Alarm   string  `json:"alarm,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Mode is how an evaluation answers. Values are stored; append only.
type Mode string

// The modes of evaluation.
const (
	// ModeGreedy takes the likeliest token at each position.
	ModeGreedy Mode = "greedy"
	// ModeSearch answers with the best line of a tree search that the policy and its value head guide by themselves.
	ModeSearch Mode = "search"
	// ModeVerified is ModeSearch with each finished answer checked by the verifier, as one may where checking is free: it measures
	// what the search can reach, and its accuracy is not to be compared with that of modes that have to know when they are right.
	ModeVerified Mode = "verified"
)

// Modes are all of them.
func Modes() []Mode { return []Mode{ModeGreedy, ModeSearch, ModeVerified} }

// EvaluateInput asks for the accuracy of a policy version. All its fields together are its identity: a second call returns
// what is stored.
type EvaluateInput struct {
	Run     hone.RunID `json:"run"`
	Version int        `json:"version"`
	Split   hone.Split `json:"split"`
	Mode    Mode       `json:"mode"`
	// Limit is the number of problems, chosen by seed; 0 means all of the split.
	Limit int `json:"limit,omitempty"`
}

// Evaluation is the accuracy of one policy version on one split.
type Evaluation struct {
	Version  int        `json:"version"`
	Split    hone.Split `json:"split"`
	Mode     Mode       `json:"mode"`
	Problems int        `json:"problems"`
	Outcomes Outcomes   `json:"outcomes"`
	// Tokens is the mean number of tokens generated to find an answer; greedy, its length.
	Tokens  float64 `json:"tokens"`
	Seconds float64 `json:"seconds"`
}

// Accuracy is the share of problems answered right, in [0, 1]; 0 for no problems.
func (e Evaluation) Accuracy() float64 {
	if e.Problems == 0 {
		return 0
	}
	return float64(e.Outcomes.Right) / float64(e.Problems)
}

// PublishInput asks that a version be made the run's result.
type PublishInput struct {
	Run     hone.RunID `json:"run"`
	Version int        `json:"version"`
}

// PublishOutput names the published result.
type PublishOutput struct {
	// Manifest is the version's digest, hex.
	Manifest string `json:"manifest"`
	// Weights is the digest of the weights file alone, hex: equal seeds give equal weights.
	Weights string `json:"weights"`
}

// Status is how a run stands, as the runs table has it.
type Status string

// The statuses with which a workflow leaves a run.
const (
	StatusSucceeded Status = "succeeded"
	// StatusPaused is a run that waits or was stopped, on request or because a guard found a reason.
	StatusPaused Status = "paused"
	// StatusRunning is one that goes on after it waited.
	StatusRunning   Status = "running"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
)

// FinishInput sets a run's status.
type FinishInput struct {
	Run    hone.RunID `json:"run"`
	Status Status     `json:"status"`
	// Reason says why in words; "" for a success.
	Reason string `json:"reason,omitempty"`
}
