package ppo

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Importance is how samples of another policy than the one that learns are treated: of an older version, or of the same version by an
// engine that rounds otherwise.
type Importance struct {
	// Truncate is C, >= 1; 0 is off. With it the policy that learns scores all tokens before the first step, ratios are against
	// those log-probabilities, and the policy's loss of a token is multiplied by
	//
	//	w = min(exp(logp_start - logp_sampler), C)
	//
	// which no gradient goes through: the clip then bounds how far the update moves, and w weighs for where the token came
	// from. Usual are 2 to 5. Hilton et al. 2022, arXiv:2110.00641, decouple the two policies; truncation is Ionides 2008,
	// doi:10.1198/106186008X320456. With gspo w is of the sequence: its log-ratios are averaged first.
	Truncate float64 `yaml:"truncate" json:"truncate"`
	// MaxStaleness is how many versions older than the one that learns a sample's may be, >= 0. Older ones are left out and counted.
	MaxStaleness int `yaml:"max_staleness" json:"max_staleness"`
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (c Importance) Validate() error {
	var errs []error
	if c.Truncate != 0 && !(c.Truncate >= 1) || math.IsInf(c.Truncate, 0) {
		errs = append(errs, fmt.Errorf("ppo: importance.truncate is %v, must be 0 or at least 1: %w", c.Truncate, hone.ErrInvalid))
	}
	if c.MaxStaleness < 0 {
		errs = append(errs, fmt.Errorf("ppo: importance.max_staleness is %d, must be at least 0: %w", c.MaxStaleness, hone.ErrInvalid))
	}
	return errors.Join(errs...)
}

// weights are the truncated ratios of the policy that starts to the one that sampled, [T], and how many the truncation decided.
func (c Importance) weights(logpStart, logpSampler []float64, kind LossKind) (weights []float64, truncated int) {
	weights = make([]float64, len(logpStart))
	mean := 0.0
	for t := range weights {
		weights[t] = logpStart[t] - logpSampler[t]
		mean += weights[t] / float64(len(weights))
	}
	for t, d := range weights {
		if kind == LossGSPO {
			d = mean
		}
		w := math.Exp(clampLogRatio(d))
		if w > c.Truncate {
			w = c.Truncate
			truncated++
		}
		weights[t] = w
	}
	return weights, truncated
}

// effectiveSampleSize is (sum w)^2 / (n * sum w^2), Kish 1965: 1 where all weights are equal, 1/n where one outweighs all. 0 of none.
func effectiveSampleSize(sum, squares float64, n int) float64 {
	if n == 0 || squares == 0 {
		return 0
	}
	return sum * sum / (float64(n) * squares)
}
