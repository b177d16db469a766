package mcts

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// maxSimulations keeps visits within 32 bits.
const maxSimulations = 1 << 30

// Config says how a search spends its simulations.
type Config struct {
	// Simulations is the number of walks from the root to a leaf, in [0, 2^30], beyond the root's own first evaluation.
	Simulations int `json:"simulations" yaml:"simulations"`
	// CInit is c1 of the selection rule, >= 0: how much the prior counts against the value.
	CInit float64 `json:"c_init" yaml:"c_init"`
	// CBase is c2 of the selection rule, > 0, in visits: how slowly exploration grows with them.
	CBase float64 `json:"c_base" yaml:"c_base"`
	// Discount is gamma, in [0, 1], per step.
	Discount float64 `json:"discount" yaml:"discount"`
	// NoiseAlpha is the concentration of the Dirichlet noise on the root's priors, > 0.
	NoiseAlpha float64 `json:"noise_alpha" yaml:"noise_alpha"`
	// NoiseFraction is the noise's share of the root's priors, in [0, 1]; 0 means no noise, and no generator is needed.
	NoiseFraction float64 `json:"noise_fraction" yaml:"noise_fraction"`
}

// DefaultConfig is 50 simulations with the constants of arXiv:1911.08265, appendix B, no discount and no noise.
func DefaultConfig() Config {
	return Config{Simulations: 50, CInit: 1.25, CBase: 19652, Discount: 1, NoiseAlpha: 0.3}
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, value any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format+": %w", value, hone.ErrInvalid))
		}
	}
	check(c.Simulations >= 0 && c.Simulations <= maxSimulations, "simulations is %v, want 0 to 1073741824", c.Simulations)
	check(c.CInit >= 0 && !math.IsInf(c.CInit, 0), "c_init is %v, want a finite number of at least 0", c.CInit)
	check(c.CBase > 0 && !math.IsInf(c.CBase, 0), "c_base is %v, want a finite number above 0", c.CBase)
	check(c.Discount >= 0 && c.Discount <= 1, "discount is %v, want a number in [0, 1]", c.Discount)
	check(c.NoiseAlpha > 0 && !math.IsInf(c.NoiseAlpha, 0), "noise_alpha is %v, want a finite number above 0", c.NoiseAlpha)
	check(c.NoiseFraction >= 0 && c.NoiseFraction <= 1, "noise_fraction is %v, want a number in [0, 1]", c.NoiseFraction)
	return errors.Join(faults...)
}
