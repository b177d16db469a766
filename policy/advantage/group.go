package advantage

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Member is one trajectory of a group: all trajectories that were sampled for one problem.
type Member struct {
	// Rewards is [T], the reward that each token earned.
	Rewards []float64
	// Ends is [S], increasing: the index after the last token of each step. The last is T.
	Ends []int
}

// LeaveOneOut compares each member with the others. The result is [len(group)][T].
//
//	G_t = r_t + ... + r_{T-1}                                      reward still to come at token t
//	A_t = G_t - (1/(n-1)) * sum over the others j of G^j at the start of the step that t is in
//
// where a member that has fewer steps counts with its last one. With a reward at the end alone this is the leave-one-out baseline
// of Ahmadian et al. 2024, arXiv:2402.14740, the same for each token. Rewards on steps land on the tokens that led to
// them and not on those that came after, and are compared with what the others had still to come at the same step. The baseline
// depends on the other members and on the number of the step alone, so it leaves the expected gradient as it is.
//
// A group of one has nothing to be compared with: its advantages are 0. Nothing is bootstrapped and nothing is discounted.
// Members whose steps do not end in order at T are [hone.ErrInvalid].
func LeaveOneOut(group []Member) ([][]float64, error) {
	toGo := make([][]float64, len(group))
	atStep := make([][]float64, len(group))
	for i, m := range group {
		if err := m.validate(); err != nil {
			return nil, fmt.Errorf("group member %d: %w", i, err)
		}
		toGo[i] = rewardsToGo(m.Rewards, 1)
		atStep[i] = make([]float64, len(m.Ends))
		for s := range m.Ends {
			atStep[i][s] = toGo[i][m.start(s)]
		}
	}
	out := make([][]float64, len(group))
	for i, m := range group {
		out[i] = make([]float64, len(m.Rewards))
		if len(group) == 1 {
			continue
		}
		for s, end := range m.Ends {
			others := 0.0
			for j := range group {
				if j != i {
					others += atStep[j][min(s, len(atStep[j])-1)]
				}
			}
			for t := m.start(s); t < end; t++ {
				out[i][t] = toGo[i][t] - others/float64(len(group)-1)
			}
		}
	}
	return out, nil
}

// start is the index of the first token of step s.
func (m Member) start(s int) int {
	if s == 0 {
		return 0
	}
	return m.Ends[s-1]
}

// validate checks that the steps cover the tokens in order, none of them empty.
func (m Member) validate() error {
	last := 0
	for s, end := range m.Ends {
		if end <= last {
			return fmt.Errorf("step %d ends at token %d, must end after %d: %w", s, end, last, hone.ErrInvalid)
		}
		last = end
	}
	if last != len(m.Rewards) || last == 0 {
		return fmt.Errorf("steps end at token %d of %d: %w", last, len(m.Rewards), hone.ErrInvalid)
	}
	return nil
}

// rewardsToGo is [T]: the discounted sum of the rewards from each token on, G_t = r_t + gamma*G_{t+1}.
func rewardsToGo(rewards []float64, gamma float64) []float64 {
	out := make([]float64, len(rewards))
	next := 0.0
	for t := len(rewards) - 1; t >= 0; t-- {
		next = rewards[t] + gamma*next
		out[t] = next
	}
	return out
}

// relativeFloor is added to a group's deviation, as in the released code of arXiv:2402.03300.
const relativeFloor = 1e-6

// Relative compares the rewards of whole trajectories of one problem: R_i - mean, divided by std + 1e-6 where scaled is true.
// Shao et al. 2024, arXiv:2402.03300, section 4.1.2, with the unbiased deviation, n - 1; without the scale Liu et al. 2025,
// arXiv:2503.20783, section 3.2. A single reward becomes 0, as rewards that are all equal do.
func Relative(rewards []float64, scaled bool) []float64 {
	mean, variance := Moments(rewards, nil)
	scale := 1.0
	if scaled {
		scale = math.Sqrt(variance) + relativeFloor
	}
	out := make([]float64, len(rewards))
	for i, r := range rewards {
		out[i] = (r - mean) / scale
	}
	return out
}
