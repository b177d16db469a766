// Package progress is the layer that pays each step by how far it moved: the potential after the step less the potential before it.
// The potential is the value head's estimate of the state, as it was stored with the tokens.
//
//	F(s, s') = phi(s') - phi(s),  phi = V, phi(end) = 0
//
// Ng, Harada and Russell 1999 (Policy invariance under reward transformations, ICML), eq. 2, with gamma = 1. The sum over a trajectory is
// -phi(start) whatever was written, so among the samples of one problem the layer decides nothing about the total, and no circle, padding
// or detour is worth anything; it moves reward to the steps that earned it.
//
// Differs: a trajectory that was cut off ends in phi = 0 too, where a bootstrap stands for what is missing.
package progress

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name.
const Name = "progress"

// Layer reads the values of trajectories.
type Layer struct{}

var _ reward.Layer = Layer{}

// New is the layer.
func New() Layer { return Layer{} }

// Name is "progress".
func (Layer) Name() string { return Name }

// Judge gives every step that has tokens its difference of potentials. A trajectory without values (text from elsewhere) gets no terms.
func (Layer) Judge(_ context.Context, _ hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	if len(traj.Values) == 0 || len(traj.Values) != len(traj.Tokens) {
		return reward.Judgement{}, nil
	}
	var terms []hone.Term
	for i, s := range traj.Steps {
		if s.From < 0 || s.To > len(traj.Values) || s.From > s.To {
			return reward.Judgement{}, fmt.Errorf("step %d spans tokens [%d, %d) of %d: %w", i, s.From, s.To, len(traj.Values), hone.ErrInvalid)
		}
		if s.From == s.To {
			continue
		}
		before, after := float64(traj.Values[s.From]), 0.0
		if s.To < len(traj.Values) {
			after = float64(traj.Values[s.To])
		}
		terms = append(terms, hone.Term{Step: i, Score: after - before, Reason: fmt.Sprintf("the value goes from %.3f to %.3f", before, after)})
	}
	return reward.Judgement{Terms: terms}, nil
}
