package ppo

import (
	"fmt"
	"math"
)

// spread is the mean and the deviation of the advantages before they are whitened.
type spread struct{ mean, std float64 }

// estimate fills rewards, returns and advantages of all samples, which hold their log-probabilities under the reference by now.
//
//	r_t = task reward of the step that ends at t - beta * (logpOld_t - logpRef_t)     the charge only with KLInReward
//
// Returns always come from [Episode.Advantages], since the value head is trained the same way whatever the policy's advantages
// are; and before whitening, so that the value head never sees a whitened number. Advantages are then whitened, or for groups
// rescaled, over the tokens of all samples at once. What comes back is their spread before that.
func estimate(samples []*sample, c Config, beta float64) (spread, error) {
	for _, s := range samples {
		s.rewards = append([]float64(nil), s.task...)
		if c.KLPenalty == KLInReward && beta > 0 {
			for t := range s.rewards {
				s.rewards[t] -= beta * K1(s.logpOld[t], s.logpRef[t])
			}
		}
		e := Episode{Rewards: s.rewards, Values: s.valuesOld, Bootstrap: s.bootstrap}
		var err error
		if s.advantages, s.returns, err = e.Advantages(c.Gamma, c.Lambda); err != nil {
			return spread{}, fmt.Errorf("trajectory %v: %w", s.trajectory.ID, err)
		}
	}
	scale := Whiten
	if c.Advantage == AdvantageGroup {
		scale = Rescale
		if err := compareGroups(samples); err != nil {
			return spread{}, err
		}
	}
	var all []float64
	for _, s := range samples {
		all = append(all, s.advantages...)
	}
	mean, variance := moments(all, nil)
	scale(all, nil)
	for _, s := range samples {
		n := copy(s.advantages, all)
		all = all[n:]
	}
	return spread{mean: mean, std: math.Sqrt(variance)}, nil
}

// compareGroups replaces the advantages of all samples by those against their groups: the samples of the same problem.
func compareGroups(samples []*sample) error {
	groups := map[string][]*sample{}
	var problems []string
	for _, s := range samples {
		id := s.trajectory.Problem.ID()
		if groups[id] == nil {
			problems = append(problems, id)
		}
		groups[id] = append(groups[id], s)
	}
	for _, id := range problems {
		members := make([]Member, len(groups[id]))
		for i, s := range groups[id] {
			members[i] = Member{Rewards: s.rewards, Ends: s.ends}
		}
		advantages, err := GroupAdvantages(members)
		if err != nil {
			return fmt.Errorf("problem %s: %w", id, err)
		}
		for i, s := range groups[id] {
			s.advantages = advantages[i]
		}
	}
	return nil
}
