package ppo

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// controllerErrorLimit bounds the relative error that the controller acts on, as in the paper.
const controllerErrorLimit = 0.2

// Controller steers the coefficient beta of the KL penalty so that the policy's divergence from the reference stays about at a
// target. Its only state is beta, which [Update] takes and returns: storing it with the policy version makes a resumed run go on
// as it would have.
//
//	e    = clip(kl/Target - 1, -0.2, 0.2)
//	beta <- beta * (1 + e * n/Horizon)
//
// Ziegler et al. 2019, arXiv:1909.08593, section 2.2.
type Controller struct {
	// Target is the divergence to keep, in nats a trajectory, >= 0; 0 leaves beta alone.
	Target float64
	// Horizon is the number of trajectories over which a full error changes beta by about a fifth, > 0.
	Horizon float64
}

// Next is beta after an update on n trajectories whose mean divergence was kl nats a trajectory. A sampled divergence may be
// negative. A kl or beta that is not finite is [hone.ErrNonFinite].
func (c Controller) Next(beta, kl float64, n int) (float64, error) {
	if math.IsNaN(kl+beta) || math.IsInf(kl+beta, 0) {
		return 0, fmt.Errorf("kl controller: beta %v, kl %v: %w", beta, kl, hone.ErrNonFinite)
	}
	if c.Target == 0 {
		return beta, nil
	}
	e := max(-controllerErrorLimit, min(controllerErrorLimit, kl/c.Target-1))
	return beta * (1 + e*float64(n)/c.Horizon), nil
}
