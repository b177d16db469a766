package activities

import (
	"encoding/json"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/gate"
)

// What a scheduled training asks and hears crosses Temporal under the rules of payload.go.

// Source is where new problems come from: one of its fields is set.
type Source struct {
	// Dir is a folder with files *.jsonl, as the workers that keep the record see it; each line is an object with a "problem".
	Dir string `json:"dir,omitempty"`
	// Run is the name of a run: the problems that it has sampled or searched.
	Run string `json:"run,omitempty"`
	// Table is a table of a Postgres.
	Table *Table `json:"table,omitempty"`
}

// Table is a table with a problem a row.
type Table struct {
	// Name is the table's, or "schema.name", and Column that of the problems.
	Name   string `json:"name"`
	Column string `json:"column"`
	// AddressFrom is the environment variable of the workers that keep the record, which has the address of the database; the address is a
	// secret and never crosses Temporal. "" is the record's own database.
	AddressFrom string `json:"address_from,omitempty"`
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
