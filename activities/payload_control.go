package activities

import (
	"encoding/json"
	"fmt"

	"github.com/hone-rl/hone"
)

// What steers a run crosses Temporal under the rules of payload.go.

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
	// Version is From + 1, or as many more as may have been sampled ahead.
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
