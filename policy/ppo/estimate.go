package ppo

import (
	"fmt"

	"github.com/hone-rl/hone/policy/advantage"
)

// estimate fills rewards, returns and advantages of all samples, which hold their log-probabilities under the reference by now.
//
//	r_t = shaped reward of the step that ends at t - beta * (logpSampler_t - logpRef_t)     the charge only with KLInReward
//
// limit is the most tokens that a completion could have had, for the penalty on overlong ones.
//
// What comes back is the spread of the advantages before they were scaled.
func estimate(samples []*sample, c Config, beta float64, limit int) (advantage.Spread, error) {
	batch := make([]advantage.Trajectory, len(samples))
	for _, s := range samples {
		s.shaped = s.task
		if c.Shaping != (Shaping{}) {
			s.shaped = c.Shaping.apply(s.task, s.trajectory.Finish, limit)
		}
		s.rewards = s.room.floats.take(len(s.shaped))
		copy(s.rewards, s.shaped)
		if c.KLPenalty == KLInReward && beta > 0 {
			for t := range s.rewards {
				s.rewards[t] -= beta * K1(s.logpSampler[t], s.logpRef[t])
			}
		}
	}
	if c.Shaping.Whiten {
		whitenRewards(samples)
	}
	for i, s := range samples {
		var group string
		problem := &s.trajectory.Problem
		if last := samples[max(i-1, 0)].trajectory.Problem; i > 0 && last.Task == problem.Task && last.Key == problem.Key {
			group = batch[i-1].Group // the same string, made once
		} else {
			group = problem.ID()
		}
		batch[i] = advantage.Trajectory{
			Group: group, Rewards: s.rewards, Values: s.valuesOld, Bootstrap: s.bootstrap,
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

// whitenRewards scales all tokens' rewards to a deviation of 1 about the mean they have.
func whitenRewards(samples []*sample) {
	var all []float64
	for _, s := range samples {
		all = append(all, s.rewards...)
	}
	advantage.RescaleAboutMean(all, nil)
	for _, s := range samples {
		all = all[copy(s.rewards, all):]
	}
}
