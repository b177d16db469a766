package advantage

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Trajectory is what an [Estimator] reads of one trajectory.
type Trajectory struct {
	// Group names the problem: trajectories of equal names are compared with each other.
	Group string
	// Rewards is [T], the reward that each token earned.
	Rewards []float64
	// Values is [T], V of the state before each token by the policy that sampled it, and Bootstrap that after the last; see [Episode].
	Values    []float64
	Bootstrap float64
	// Ends is [S], increasing: the index after the last token of each step. The last is T.
	Ends []int
	// Branches is [S], for [Tree] alone.
	Branches []Branch
}

// Estimate is what was made of one trajectory. Each slice is [T].
type Estimate struct {
	// Advantages weigh the gradient of the policy's log-probabilities.
	Advantages []float64
	// Returns are what the value head is trained towards. They are GAE's whatever the advantages are, and never whitened.
	Returns []float64
}

// Spread is the mean and the deviation of the advantages of a batch, over tokens, before they were scaled.
type Spread struct{ Mean, Std float64 }

// Estimate is one estimate a trajectory, in their order, and the spread of the advantages before any scaling. What scales over the
// batch scales over everything it is given: call it once with all of it. Estimates depend on the order of the batch by rounding alone.
//
// A sample without another of its group has nothing to be compared with: its advantages are 0 with the estimators of groups. Parts of
// a trajectory that do not fit are [hone.ErrInvalid]. e is taken to be valid.
func (e Estimator) Estimate(batch []Trajectory) ([]Estimate, Spread, error) {
	out := make([]Estimate, len(batch))
	total := 0
	for _, t := range batch {
		total += len(t.Rewards)
	}
	memory := make([]float64, 2*total)
	for i, t := range batch {
		n := len(t.Rewards)
		out[i] = Estimate{Advantages: memory[:n:n], Returns: memory[n : 2*n : 2*n]}
		memory = memory[2*n:]
		if err := e.general(t, out[i]); err != nil {
			return nil, Spread{}, fmt.Errorf("trajectory %d: %w", i, err)
		}
	}
	alone, err := e.compare(batch, out)
	if err != nil {
		return nil, Spread{}, err
	}
	all, counted := make([]float64, 0, total), make([]bool, 0, total)
	for i := range out {
		all = append(all, out[i].Advantages...)
		for range out[i].Advantages {
			counted = append(counted, !alone[i])
		}
	}
	mean, variance := Moments(all, nil)
	whiten := Whiten
	if e.WhitenBiased {
		whiten = WhitenBiased
	}
	switch e.Advantage {
	case GAE, ReinforcePP:
		whiten(all, nil)
	case ReinforcePPBaseline:
		whiten(all, counted)
	case RLOO:
		Rescale(all, nil)
	case GRPO, DrGRPO, MonteCarlo, Tree:
	}
	for i := range out {
		all = all[copy(out[i].Advantages, all):]
	}
	return out, Spread{Mean: mean, Std: math.Sqrt(variance)}, nil
}

// general fills in GAE's advantages and returns, each with its own lambda.
func (e Estimator) general(t Trajectory, into Estimate) error {
	episode := Episode{Rewards: t.Rewards, Values: t.Values, Bootstrap: t.Bootstrap}
	if err := episode.fill(into.Advantages, into.Returns, e.Gamma, e.policyLambda(len(t.Rewards))); err != nil {
		return err
	}
	if e.policyLambda(len(t.Rewards)) == e.valueLambda() {
		return nil
	}
	_, returns, err := episode.Advantages(e.Gamma, e.valueLambda())
	copy(into.Returns, returns)
	return err
}

// compare replaces the advantages in out, which are GAE's, by those of the estimator before scaling. alone are the trajectories that a
// group estimator found without another of their group.
func (e Estimator) compare(batch []Trajectory, out []Estimate) (alone []bool, err error) {
	alone = make([]bool, len(batch))
	switch e.Advantage {
	case GAE:
	case ReinforcePP:
		for i, t := range batch {
			out[i].Advantages = rewardsToGo(t.Rewards, e.Gamma)
		}
	case MonteCarlo:
		for i, advantages := range againstMean(batch, e.Gamma) {
			out[i].Advantages = advantages
		}
	case Tree:
		for i, t := range batch {
			if out[i].Advantages, err = treeAdvantages(t); err != nil {
				return nil, fmt.Errorf("trajectory %d: %w", i, err)
			}
		}
	case GRPO, DrGRPO, RLOO, ReinforcePPBaseline:
		for _, group := range grouped(batch) {
			members := make([]Trajectory, len(group))
			for k, i := range group {
				members[k], alone[i] = batch[i], len(group) == 1
			}
			advantages, err := e.within(members)
			if err != nil {
				return nil, fmt.Errorf("group %s: %w", members[0].Group, err)
			}
			for k, i := range group {
				out[i].Advantages = advantages[k]
			}
		}
	default:
		return nil, fmt.Errorf("advantage is %q, must be one of %s: %w", e.Advantage, Kinds(), hone.ErrInvalid)
	}
	return alone, nil
}

// within is the advantages of one group's members against each other.
func (e Estimator) within(members []Trajectory) ([][]float64, error) {
	switch e.Advantage {
	case RLOO:
		group := make([]Member, len(members))
		for i, m := range members {
			group[i] = Member{Rewards: m.Rewards, Ends: m.Ends}
		}
		return LeaveOneOut(group)
	case ReinforcePPBaseline:
		if len(members) == 1 {
			return [][]float64{make([]float64, len(members[0].Rewards))}, nil
		}
		return againstMean(members, 1), nil
	default:
		totals := make([]float64, len(members))
		for i, m := range members {
			totals[i] = sum(m.Rewards)
		}
		relative := Relative(totals, e.Advantage == GRPO)
		out := make([][]float64, len(members))
		for i, m := range members {
			out[i] = make([]float64, len(m.Rewards))
			for t := range out[i] {
				out[i][t] = relative[i]
			}
		}
		return out, nil
	}
}

// againstMean is, for each trajectory, its reward to go at each token less the mean over the trajectories of the whole.
func againstMean(batch []Trajectory, gamma float64) [][]float64 {
	out := make([][]float64, len(batch))
	mean := 0.0
	for i, t := range batch {
		out[i] = rewardsToGo(t.Rewards, gamma)
		if len(out[i]) > 0 {
			mean += out[i][0] / float64(len(batch))
		}
	}
	for _, advantages := range out {
		for t := range advantages {
			advantages[t] -= mean
		}
	}
	return out
}

// grouped is the indices of each group's trajectories, groups in the order in which they first appear.
func grouped(batch []Trajectory) [][]int {
	at := map[string]int{}
	var groups [][]int
	for i, t := range batch {
		k, ok := at[t.Group]
		if !ok {
			k = len(groups)
			at[t.Group] = k
			groups = append(groups, nil)
		}
		groups[k] = append(groups[k], i)
	}
	return groups
}

// sum adds from the front.
func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
