// Package reward judges trajectories in layers. A [Layer] makes one judgement (is the answer right, is each step good, was it
// done in few words); a [Stack] weighs layers and gives a [hone.Breakdown], in which every term lands on the step that earned it,
// with the reason in words. There is no total apart from the sum of the terms.
//
// The layers are packages of their own: reward/correctness, reward/step, reward/efficiency, and reward/noise for the control
// experiment; reward/format, reward/progress, reward/risk and reward/expression; reward/preference, which asks a learned model that is
// handed in; reward/judge, which leaves the process to ask an HTTP endpoint; and reward/codetest, which runs programs, with
// reward/resources for what they took. reward/stack builds the stack that a configuration asks for; reward/rewardtest is how a layer
// proves itself.
package reward

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Layer makes one judgement of a trajectory.
//
// A layer is deterministic: the same problem and trajectory give the same judgement, in any order and on any machine. It is safe
// for concurrent use and leaves its arguments as they are. Terms are in step order, on steps that the trajectory has, with finite
// scores. Whatever the policy wrote is judged, never an error: an error means that the layer could not do its work, such as
// [hone.ErrInvalid] for a trajectory whose steps are not those of its text, or ctx's error for a layer that leaves the process.
type Layer interface {
	// Name is what the breakdown calls the layer, such as "correctness".
	Name() string
	// Judge judges the trajectory.
	Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (Judgement, error)
}

// Judgement is what a layer found.
type Judgement struct {
	// Outcome is the finding on the answer; empty if the layer does not verify answers.
	Outcome hone.Outcome
	// Terms are what the layer gives, before its weight.
	Terms []hone.Term
}

// Follower is a layer that reads what the layers before it in the stack found.
type Follower interface {
	Layer
	// Follow judges the trajectory, given the breakdown so far, which it must not change; the promises are those of Judge.
	Follow(ctx context.Context, p hone.Problem, traj hone.Trajectory, before hone.Breakdown) (Judgement, error)
}

// Stack is weighted layers. It is safe for concurrent use.
type Stack struct {
	layers []Weighted
}

// NewStack checks that there are layers, that their names differ, and what is said of each.
func NewStack(layers ...Weighted) (*Stack, error) {
	if len(layers) == 0 {
		return nil, fmt.Errorf("reward stack without layers: %w", hone.ErrInvalid)
	}
	seen := make(map[string]bool)
	for _, l := range layers {
		name := l.Layer.Name()
		if seen[name] {
			return nil, fmt.Errorf("reward layer %q is twice in the stack: %w", name, hone.ErrInvalid)
		}
		seen[name] = true
		if err := l.Validate(); err != nil {
			return nil, err
		}
	}
	return &Stack{layers: append([]Weighted(nil), layers...)}, nil
}

// Score judges the trajectory by every layer, in order. The outcome is that of the first layer that verifies answers; it is empty
// where none does, and a gate sees the outcome of the layers up to its own. An error of any layer is the stack's: a breakdown is whole or
// there is none. Schedules go by the trajectory's iteration.
func (s *Stack) Score(ctx context.Context, p hone.Problem, traj hone.Trajectory) (hone.Breakdown, error) {
	b := hone.Breakdown{Steps: len(traj.Steps), Layers: make([]hone.LayerScore, 0, len(s.layers))}
	ctx = withReading(ctx)
	for _, l := range s.layers {
		j, err := l.judge(ctx, p, traj, b)
		if err != nil {
			return hone.Breakdown{}, fmt.Errorf("score trajectory %s: layer %q: %w", traj.ID, l.Layer.Name(), err)
		}
		if b.Outcome == "" {
			b.Outcome = j.Outcome
		}
		b.Layers = append(b.Layers, l.judged(j, &b, traj.ID.Iteration))
	}
	if err := b.Validate(); err != nil {
		return hone.Breakdown{}, fmt.Errorf("score trajectory %s: %w", traj.ID, err)
	}
	return b, nil
}

// judge asks the layer.
func (w Weighted) judge(ctx context.Context, p hone.Problem, traj hone.Trajectory, before hone.Breakdown) (Judgement, error) {
	if f, ok := w.Layer.(Follower); ok {
		return f.Follow(ctx, p, traj, before)
	}
	return w.Layer.Judge(ctx, p, traj)
}

// Layers are the stack's, in order. The caller owns the slice.
func (s *Stack) Layers() []Weighted { return append([]Weighted(nil), s.layers...) }

// Replace is the stack with another layer in the place of the one of that name, under the same weight. A name that isn't in the stack is
// [hone.ErrNotFound].
func (s *Stack) Replace(layer Layer) (*Stack, error) {
	layers := s.Layers()
	for i, w := range layers {
		if w.Layer.Name() == layer.Name() {
			layers[i].Layer = layer
			return &Stack{layers: layers}, nil
		}
	}
	return nil, fmt.Errorf("layer %q is not in the stack: %w", layer.Name(), hone.ErrNotFound)
}
