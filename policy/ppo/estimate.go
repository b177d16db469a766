package ppo

import (
	"fmt"

	"github.com/hone-rl/hone/policy/advantage"
)

// estimate fills rewards, returns and advantages of all samples, which hold their log-probabilities under the reference by now.
//
//	r_t = task reward of the step that ends at t - beta * (logpOld_t - logpRef_t)     the charge only with KLInReward
//
// What comes back is the spread of the advantages before they were scaled.
func estimate(samples []*sample, c Config, beta float64) (advantage.Spread, error) {
	batch := make([]advantage.Trajectory, len(samples))
	for i, s := range samples {
		s.rewards = append([]float64(nil), s.task...)
		if c.KLPenalty == KLInReward && beta > 0 {
			for t := range s.rewards {
				s.rewards[t] -= beta * K1(s.logpOld[t], s.logpRef[t])
			}
		}
		batch[i] = advantage.Trajectory{
			Group: s.trajectory.Problem.ID(), Rewards: s.rewards, Values: s.valuesOld, Bootstrap: s.bootstrap,
			Ends: s.ends, Branches: s.branches,
		}
	}
	estimates, raw, err := c.Estimate(batch)
	if err != nil {
		return raw, fmt.Errorf("advantages of %d trajectories, %v to %v: %w",
			len(samples), samples[0].trajectory.ID, samples[len(samples)-1].trajectory.ID, err)
	}
	for i, s := range samples {
		s.advantages, s.returns = estimates[i].Advantages, estimates[i].Returns
	}
	return raw, nil
}
