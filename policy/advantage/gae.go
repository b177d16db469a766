package advantage

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// Episode is what generalised advantage estimation reads of one trajectory. Every slice is [T].
type Episode struct {
	// Rewards is the reward that each token earned.
	Rewards []float64
	// Values is V of the state before each token, by the policy that sampled it.
	Values []float64
	// Mask tells the policy's own tokens (true) from tokens that something else wrote; nil is all true. What stands in a masked
	// slot, NaN included, touches no result.
	Mask []bool
	// Bootstrap is V of the state after the last token: 0 where the trajectory ended, the value head's estimate where it was cut
	// off. The sampler's finish reason decides which, never the length.
	Bootstrap float64
}

// Advantages estimates for each token how much better it was than the policy expected:
//
//	delta_t = r_t + gamma*V_{t+1} - V_t
//	A_t     = delta_t + gamma*lambda*A_{t+1}
//	R_t     = A_t + V_t
//
// where t+1 is the next token of the policy's own, over any gap of masked ones, and V after the last is Bootstrap. Both results
// are [T] with 0 in masked slots; the returns R are what the value head is trained towards. Schulman et al. 2016,
// arXiv:1506.02438, eq. 16.
//
// Slices of unequal length are [hone.ErrInvalid].
func (e Episode) Advantages(gamma, lambda float64) (advantages, returns []float64, err error) {
	n := len(e.Rewards)
	advantages, returns = make([]float64, n), make([]float64, n)
	if err := e.fill(advantages, returns, gamma, lambda); err != nil {
		return nil, nil, err
	}
	return advantages, returns, nil
}

// fill is Advantages, into slices [T] that are 0.
func (e Episode) fill(advantages, returns []float64, gamma, lambda float64) error {
	n := len(e.Rewards)
	if len(e.Values) != n || e.Mask != nil && len(e.Mask) != n {
		return fmt.Errorf("advantages: %d rewards, %d values, %d mask: %w", n, len(e.Values), len(e.Mask), hone.ErrInvalid)
	}
	next, carry := e.Bootstrap, 0.0
	for t := n - 1; t >= 0; t-- {
		if e.Mask != nil && !e.Mask[t] {
			continue
		}
		delta := e.Rewards[t] + gamma*next - e.Values[t]
		carry = delta + gamma*lambda*carry
		next = e.Values[t]
		advantages[t], returns[t] = carry, carry+e.Values[t]
	}
	return nil
}
