// Package resources is the layer that takes for time and memory that a right answer took beyond an allowance. It counts for right answers
// only, so it never pays to give up early, and its total is in [-1, 0].
//
// What was taken is measured by a layer before it in the stack (reward/codetest), or by whoever sampled ([reward.WithUsage]). Differs from
// other layers: a measurement is of what happened once, so judging again gives something else, and a replay takes the stored terms.
package resources

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "resources"

// Config says what is allowed before the layer takes.
type Config struct {
	// WallSeconds is time that passes, and MemoryMiB memory, that an answer may take, >= 0; 0 doesn't look at it.
	WallSeconds float64 `json:"wall_seconds" yaml:"wall_seconds"`
	MemoryMiB   float64 `json:"memory_mib" yaml:"memory_mib"`
	// Span is how many times an allowance may be taken besides before the layer has taken all it can, > 0.
	Span float64 `json:"span" yaml:"span"`
}

// DefaultConfig allows a second and 64 MiB, in which a small program of an interpreted language ends, and takes all at five times that.
func DefaultConfig() Config { return Config{WallSeconds: 1, MemoryMiB: 64, Span: 4} }

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var faults []error
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		rule  string
	}{
		{"wall_seconds", c.WallSeconds, c.WallSeconds >= 0, "at least 0"},
		{"memory_mib", c.MemoryMiB, c.MemoryMiB >= 0, "at least 0"},
		{"span", c.Span, c.Span > 0, "greater than 0"},
	} {
		if !f.ok || math.IsInf(f.value, 0) {
			faults = append(faults, fmt.Errorf("%s %v: must be finite and %s: %w", f.name, f.value, f.rule, hone.ErrInvalid))
		}
	}
	if c.WallSeconds == 0 && c.MemoryMiB == 0 {
		faults = append(faults, fmt.Errorf("wall_seconds 0, memory_mib 0: nothing would be looked at: %w", hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// Layer judges what answers took.
type Layer struct {
	task task.Task
	cfg  Config
}

var _ reward.Unrepeatable = (*Layer)(nil)

// New is the layer for the task.
func New(cfg Config, t task.Task) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("resources configuration: %w", err)
	}
	return &Layer{task: t, cfg: cfg}, nil
}

// Name is "resources".
func (l *Layer) Name() string { return Name }

// Unrepeatable says why.
func (l *Layer) Unrepeatable() string { return "time and memory were measured once" }

// Judge gives one term, in [-1, 0], to the step that answers: for each resource the part beyond its allowance, in allowances, over Span.
// Where nobody measured, it takes nothing and says so.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, _, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	at, _ := reward.AnswerStep(checks)
	if at < 0 || reward.Verdict(ctx, l.task, p, traj).Outcome != hone.OutcomeRight {
		return reward.Judgement{}, nil
	}
	used := reward.UsageOf(ctx)
	cost := 0.0
	var reasons []string
	for _, r := range []struct {
		what, format    string
		used, allowance float64
	}{
		{"time", "%.2f s, %g are allowed", used.Wall.Seconds(), l.cfg.WallSeconds},
		{"memory", "%.1f MiB, %g are allowed", float64(used.Memory) / (1 << 20), l.cfg.MemoryMiB},
	} {
		switch {
		case r.allowance == 0:
		case r.used <= 0:
			reasons = append(reasons, r.what+" was not measured")
		default:
			cost += max(0, r.used/r.allowance-1) / l.cfg.Span
			reasons = append(reasons, fmt.Sprintf(r.format, r.used, r.allowance))
		}
	}
	return reward.Judgement{Terms: []hone.Term{{Step: at, Score: 0 - min(cost, 1), Reason: strings.Join(reasons, "; ")}}}, nil
}
