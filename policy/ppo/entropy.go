package ppo

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// EntropyController steers the coefficient of the entropy bonus so that the policy's entropy stays about at a target. Its only state
// is the coefficient, which [Learner.Update] takes and returns.
//
//	coef <- max(0, coef + Step * sign(Target - H))
//
// He et al. 2025, arXiv:2505.22312, section 4.3, change the coefficient by a constant step in this way.
type EntropyController struct {
	// Target is the entropy to keep, in nats a token, >= 0; 0 leaves the coefficient alone.
	Target float64
	// Step is the change of one update, > 0, in reward a nat.
	Step float64
}

// Next is the coefficient after an update whose mean entropy was h nats a token. What is not finite is [hone.ErrNonFinite].
func (c EntropyController) Next(coef, h float64) (float64, error) {
	if x := coef + h; math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("entropy controller: coefficient %v, entropy %v: %w", coef, h, hone.ErrNonFinite)
	}
	switch {
	case c.Target == 0 || h == c.Target:
		return coef, nil
	case h < c.Target:
		return coef + c.Step, nil
	default:
		return max(0, coef-c.Step), nil
	}
}
