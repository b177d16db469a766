// Package noise is the layer of the control experiment: it pays 1 or 0 by the toss of a coin, whatever the trajectory says. A policy
// that gets better on it is getting better for reasons other than its reward.
//
// The outcome it reports is the verifier's, so that accuracy can be measured all the same; only the terms are noise.
package noise

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name.
const Name = "noise"

// Layer tosses a coin for each trajectory. The coin's stream is derived from the trajectory's seed, iteration and sample, so scoring
// again gives the same, and so does another run with the same seed.
type Layer struct {
	verifier reward.Layer
	prob     float64
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer that scores 1 with probability prob, in [0, 1]. The verifier gives the outcome and says where its term would land;
// the coin's lands there, or on the last step where the verifier has none.
func New(verifier reward.Layer, prob float64) (*Layer, error) {
	if !(prob >= 0 && prob <= 1) {
		return nil, fmt.Errorf("probability of noise %v: must be in [0, 1]: %w", prob, hone.ErrInvalid)
	}
	return &Layer{verifier: verifier, prob: prob}, nil
}

// Name is "noise".
func (l *Layer) Name() string { return Name }

// Judge gives the verifier's outcome and one term of 0 or 1. A trajectory without steps gets no term.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	truth, err := l.verifier.Judge(ctx, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	j := reward.Judgement{Outcome: truth.Outcome}
	if len(traj.Steps) == 0 {
		return j, nil
	}
	at := len(traj.Steps) - 1
	if len(truth.Terms) > 0 {
		at = truth.Terms[0].Step
	}
	rng := hone.Rand(hone.Seed(traj.Seed, "reward/noise", traj.ID.Iteration, traj.ID.Sample))
	score := 0.0
	if rng.Float64() < l.prob {
		score = 1
	}
	j.Terms = []hone.Term{{Step: at, Score: score, Reason: "noise of the control experiment: says nothing about the step"}}
	return j, nil
}
