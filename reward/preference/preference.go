// Package preference is the layer that asks a learned reward model what a completion is worth: sigmoid(r) of its score r, which is the
// probability that it is preferred to a completion of score 0 (Bradley and Terry 1952, doi:10.1093/biomet/39.3-4.324).
//
// A model is a [Scorer], handed in: this package knows no network. It is named by its digest, in the configuration and in every reason, so
// that a stored scoring says which model gave it and the same model gives it again.
package preference

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name.
const Name = "preference"

// Stored begins the name of a model that is no file of a machine but content of the store of weights: "blob:" and 64 hexadecimal digits.
const Stored = "blob:"

// Config names the model.
type Config struct {
	// Model is the file that it is read from, or [Stored] and the digest of that file in the store that the weights of runs are in. Digest is
	// the SHA-256 of its values in hex, as training prints it: another model at the same place is refused.
	Model  string `json:"model" yaml:"model"`
	Digest string `json:"digest" yaml:"digest"`
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.Model == "" {
		faults = append(faults, fmt.Errorf("model: want the file of a reward model: %w", hone.ErrInvalid))
	}
	if raw, err := hex.DecodeString(c.Digest); err != nil || len(raw) != 32 {
		faults = append(faults, fmt.Errorf("digest %q: want the model's, 64 hexadecimal digits, as its training printed it: %w",
			c.Digest, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// Scorer is a reward model. It is deterministic and safe for concurrent use.
type Scorer interface {
	// Digest names the model's values.
	Digest() string
	// Score is r of a completion of the prompt; ended tells that the completion was not cut off. Where the model can't read the text, why
	// says why not; otherwise it is empty.
	Score(ctx context.Context, prompt, completion string, ended bool) (r float64, why string, err error)
}

// Open reads the model that a configuration names.
type Open func(Config) (Scorer, error)

// Layer asks a model.
type Layer struct {
	model Scorer
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer, with the model that open gives; a nil one is a place that has none, and [hone.ErrInvalid].
func New(cfg Config, open Open) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("preference configuration: %w", err)
	}
	if open == nil {
		return nil, fmt.Errorf("preference: no reward model can be opened here: %w", hone.ErrInvalid)
	}
	model, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("reward model %s: %w", cfg.Model, err)
	}
	if got := model.Digest(); got != cfg.Digest {
		return nil, fmt.Errorf("reward model %s has the digest %s, the configuration says %s: %w", cfg.Model, got, cfg.Digest, hone.ErrInvalid)
	}
	return &Layer{model: model}, nil
}

// Unopened is the layer where the faults of a configuration alone are wanted: it has a name and judges nothing.
type Unopened struct{}

// Name is "preference".
func (Unopened) Name() string { return Name }

// Judge is [hone.ErrInvalid].
func (Unopened) Judge(context.Context, hone.Problem, hone.Trajectory) (reward.Judgement, error) {
	return reward.Judgement{}, fmt.Errorf("preference: the model was not opened: %w", hone.ErrInvalid)
}

// Name is "preference".
func (l *Layer) Name() string { return Name }

// Judge gives one term in [0, 1], on the last step. What the model can't read scores 0.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	if len(traj.Steps) == 0 {
		return reward.Judgement{}, nil
	}
	term := hone.Term{Step: len(traj.Steps) - 1}
	r, why, err := l.model.Score(ctx, p.Prompt, traj.Text, traj.Finish == hone.FinishStop)
	switch {
	case err != nil:
		return reward.Judgement{}, err
	case math.IsNaN(r) || math.IsInf(r, 0):
		return reward.Judgement{}, fmt.Errorf("score of trajectory %s is %v: %w", traj.ID, r, hone.ErrNonFinite)
	case why != "":
		term.Reason = fmt.Sprintf("model %.12s: %s", l.model.Digest(), why)
	default:
		term.Score = 1 / (1 + math.Exp(-r))
		term.Reason = fmt.Sprintf("model %.12s: r = %.4f", l.model.Digest(), r)
	}
	return reward.Judgement{Terms: []hone.Term{term}}, nil
}
