package activities

import (
	"encoding/json"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/gate"
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

// Setting is a value for one field of a job.
type Setting struct {
	// Key is the field's path, such as "ppo.learning_rate".
	Key string `json:"key"`
	// Value is JSON.
	Value json.RawMessage `json:"value"`
}

// ChangeInput asks for other settings from the next cycle on; see [Changeable].
type ChangeInput struct {
	Run hone.RunID `json:"run"`
	// Request names what asks: a second call under the same name returns what is stored.
	Request string    `json:"request"`
	Set     []Setting `json:"set"`
}

// ChangeOutput is what was recorded.
type ChangeOutput struct {
	Changes []Changed `json:"changes"`
}

// Changed is one setting that is another from a cycle on.
type Changed struct {
	Key string          `json:"key"`
	Old json.RawMessage `json:"old"`
	New json.RawMessage `json:"new"`
	// Iteration is the first cycle that has the new value, from 0.
	Iteration int `json:"iteration"`
}

// String is the change in words, with cycles counted from 1.
func (c Changed) String() string {
	return fmt.Sprintf("%s %s -> %s from cycle %d", c.Key, c.Old, c.New, c.Iteration+1)
}

// RollBackInput asks for the content of an older version as the next one.
type RollBackInput struct {
	Run hone.RunID `json:"run"`
	// From is the head, To the older version.
	From int `json:"from"`
	To   int `json:"to"`
}

// RollBackOutput is the version that has the older one's content.
type RollBackOutput struct {
	// Version is From + 1.
	Version  int    `json:"version"`
	Manifest string `json:"manifest"`
}

// ForkInput asks for a new run that goes on from a version of another.
type ForkInput struct {
	Parent  hone.RunID `json:"parent"`
	Version int        `json:"version"`
	// Name is the new run's.
	Name string `json:"name"`
	// Config is its whole resolved configuration; nil means the parent's, with what was changed up to the version.
	Config json.RawMessage `json:"config,omitempty"`
	// Restart makes the version the new run's version 0, which counts cycles anew.
	Restart bool `json:"restart,omitempty"`
}

// ForkOutput is the new run.
type ForkOutput struct {
	Run hone.RunID `json:"run"`
	// Version is its head.
	Version int `json:"version"`
}

// Source is where new problems come from: one of its fields is set.
type Source struct {
	// Dir is a folder with files *.jsonl, as the workers that keep the record see it; each line is an object with a "problem".
	Dir string `json:"dir,omitempty"`
	// Run is the name of a run: the problems that it has sampled or searched.
	Run string `json:"run,omitempty"`
}

// SurveyInput asks what is new to the policy that a service uses.
type SurveyInput struct {
	Service string `json:"service"`
	// Request names the attempt.
	Request string `json:"request"`
	Source  Source `json:"source"`
	// Cycles is the number of cycles to train, >= 1.
	Cycles int `json:"cycles"`
	// Set are fields of the job that are others than in the run in service.
	Set []Setting `json:"set,omitempty"`
	// Replay is how many known problems are trained on beside each new one, >= 0.
	Replay float64 `json:"replay"`
	// Least is how many problems must be new, >= 1, and MinDrift how far some feature must have drifted, in nats, >= 0.
	Least    int     `json:"least"`
	MinDrift float64 `json:"min_drift"`
	// Keep is the number of published policies that stay, >= 1.
	Keep int `json:"keep"`
}

// Found is what a survey found.
type Found struct {
	// New problems are to be trained on, Known ones were before, Reserved ones are kept for evaluation, and Bad lines hold none, the first
	// for the reason FirstBad.
	New      int    `json:"new"`
	Known    int    `json:"known"`
	Reserved int    `json:"reserved"`
	Bad      int    `json:"bad"`
	FirstBad string `json:"first_bad,omitempty"`
	// Old is the number of all problems that were trained on before, Replayed how many of them are again.
	Old      int `json:"old"`
	Replayed int `json:"replayed"`
	// Drift is of the new problems from the old ones.
	Drift []gate.Drift `json:"drift"`
}

// SurveyOutput says what to train on.
type SurveyOutput struct {
	// Skip says why nothing is to be trained; "" where something is.
	Skip string `json:"skip,omitempty"`
	// Parent and Version are the policy in service.
	Parent  hone.RunID `json:"parent"`
	Version int        `json:"version"`
	// Fresh is the digest of the list of new problems.
	Fresh string `json:"fresh,omitempty"`
	// Config is the job to train, from the policy in service.
	Config json.RawMessage `json:"config,omitempty"`
	Found  Found           `json:"found"`
}

// JudgeInput asks whether a run's version is better than its version 0, which is the policy in service.
type JudgeInput struct {
	Service string       `json:"service"`
	Request string       `json:"request"`
	Run     hone.RunID   `json:"run"`
	Version int          `json:"version"`
	Survey  SurveyOutput `json:"survey"`
	// Split, Mode and Limit are the evaluation of both that is compared.
	Split hone.Split `json:"split"`
	Mode  Mode       `json:"mode"`
	Limit int        `json:"limit,omitempty"`
	// Alpha is the largest p with which it is published, in (0, 1).
	Alpha float64 `json:"alpha"`
	Keep  int     `json:"keep"`
}

// JudgeOutput is the judgement.
type JudgeOutput struct {
	// Published tells that the service uses the version from now on.
	Published bool   `json:"published"`
	Reason    string `json:"reason"`
	// Number is that of the attempt in the service's record.
	Number int        `json:"number"`
	Pairs  gate.Pairs `json:"pairs"`
	// P is the probability of so good a result by chance; see [gate.Pairs.Test].
	P float64 `json:"p"`
}
