package mcts

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// maxSimulations keeps visits within 32 bits.
const maxSimulations = 1 << 30

// Selection is the rule by which walks choose. Values are stored; append only.
type Selection string

// The rules.
const (
	// SelectPUCT weighs value against prior and visits.
	SelectPUCT Selection = "puct"
	// SelectGumbel draws the root's actions without replacement and halves them, and below follows the improved policy.
	SelectGumbel Selection = "gumbel"
)

// Normalisation is how PUCT brings Q to the scale of priors. Values are stored; append only.
type Normalisation string

// The normalisations.
const (
	// NormaliseSiblings takes the range of the parent's value and of its visited children's Q.
	NormaliseSiblings Normalisation = "siblings"
	// NormaliseTree takes the range of all Q that the tree has seen.
	NormaliseTree Normalisation = "tree"
	// NormaliseNone takes Q as it is; returns must be in about [0, 1], or CInit loses its meaning.
	NormaliseNone Normalisation = "none"
)

// FirstPlay is the value that PUCT supposes of a child never visited. Values are stored; append only.
type FirstPlay string

// The values of a child never visited.
const (
	// FirstPlayLeast is the least of the range, 0 where nothing is normalised.
	FirstPlayLeast FirstPlay = "least"
	// FirstPlayParent is the parent's value less [Config.FirstPlayReduction].
	FirstPlayParent FirstPlay = "parent"
)

// Config says how a search spends its simulations.
type Config struct {
	// Simulations is the number of walks from the root to a leaf, in [0, 2^30], beyond the root's own first evaluation.
	Simulations int `json:"simulations" yaml:"simulations"`
	// Budget is the most that a tree's evaluations may cost before it is left alone, in the unit of [Evaluation.Cost], >= 0; 0 is no
	// bound. A tree over it starts no wave, so that it may pass it by what one wave costs.
	Budget int `json:"budget" yaml:"budget"`
	// Leaves is the most walks that one tree has under way at once, >= 1; 1 is the serial search.
	Leaves int `json:"leaves" yaml:"leaves"`
	// Collisions is the most walks of a wave, >= 0, that are given up because they come to a leaf that another one waits for; 0 means as
	// many as Leaves. The more, the fuller are waves of many leaves in narrow trees, and the farther is such a search from the serial one.
	Collisions int `json:"collisions,omitempty" yaml:"collisions"`
	// VirtualLoss is the weight, in visits, >= 0, with which each walk under way counts as one that earned nothing. Whatever it is,
	// such a walk counts as a visit.
	VirtualLoss float64 `json:"virtual_loss" yaml:"virtual_loss"`
	// Selection is the rule by which walks choose.
	Selection Selection `json:"selection" yaml:"selection"`
	// CInit is c1 of PUCT, >= 0: how much the prior counts against the value.
	CInit float64 `json:"c_init" yaml:"c_init"`
	// CBase is c2 of PUCT, > 0, in visits: how slowly exploration grows with them.
	CBase float64 `json:"c_base" yaml:"c_base"`
	// Normalisation is how PUCT brings Q to the scale of priors.
	Normalisation Normalisation `json:"normalisation" yaml:"normalisation"`
	// FirstPlay is the value that PUCT supposes of a child never visited.
	FirstPlay FirstPlay `json:"first_play" yaml:"first_play"`
	// FirstPlayReduction is taken from the parent's normalised value with [FirstPlayParent], >= 0.
	FirstPlayReduction float64 `json:"first_play_reduction" yaml:"first_play_reduction"`
	// Discount is gamma, in [0, 1], per step.
	Discount float64 `json:"discount" yaml:"discount"`
	// NoiseAlpha is the concentration of the Dirichlet noise on the root's priors, > 0.
	NoiseAlpha float64 `json:"noise_alpha" yaml:"noise_alpha"`
	// NoiseFraction is the noise's share of the root's priors, in [0, 1]; 0 means no noise, and no generator is needed.
	NoiseFraction float64 `json:"noise_fraction" yaml:"noise_fraction"`
	// Gumbel is what [SelectGumbel] needs.
	Gumbel GumbelConfig `json:"gumbel" yaml:"gumbel"`
	// Share lets actions that lead to states of one name lead to one node.
	Share bool `json:"share" yaml:"share"`
	// Widen asks for further actions as visits grow.
	Widen WidenConfig `json:"widen" yaml:"widen"`
	// Offers has the evaluator give actions one by one, and a node ask for the next when that one would be taken, by the prior that
	// [Evaluation.Offer] says. Priors are then taken as they are given, and not scaled. It goes with neither noise on the priors nor Widen.
	Offers bool `json:"offers,omitempty" yaml:"offers"`
	// Close ends a tree's growth when nothing is unknown any more: all of the root's actions lead to closed states, which are terminal
	// ones that were visited and others of which the same holds. Walks go through closed states as through any, so that the others
	// wait until their priors say that it is their turn.
	Close bool `json:"close,omitempty" yaml:"close"`
}

// GumbelConfig holds the constants of Danihelka et al. 2022.
type GumbelConfig struct {
	// Considered is the most actions of the root that are tried, >= 1.
	Considered int `json:"considered" yaml:"considered"`
	// Plan is the number of simulations that the halving lays out, in [0, 2^30]; 0 takes those that the tree has to make. It is for
	// searches that end with their budget; after it the improved policy is followed.
	Plan int `json:"plan" yaml:"plan"`
	// Scale multiplies the Gumbel noise on the root's logits, >= 0; 0 means no noise, and no generator is needed.
	Scale float64 `json:"scale" yaml:"scale"`
	// ValueScale and VisitInit are c_scale and c_visit, >= 0: completed Q counts (VisitInit + most visits of a child) * ValueScale
	// against a logit.
	ValueScale float64 `json:"value_scale" yaml:"value_scale"`
	VisitInit  float64 `json:"visit_init" yaml:"visit_init"`
	// Raw takes completed Q as it is instead of bringing it to [0, 1] among siblings.
	Raw bool `json:"raw" yaml:"raw"`
}

// WidenConfig says when a node asks for further actions: while it has fewer than Factor * N^Exponent or none that may be taken, and its
// evaluator gave new ones the last time.
type WidenConfig struct {
	// Factor is >= 0; 0 never asks.
	Factor float64 `json:"factor" yaml:"factor"`
	// Exponent is in [0, 1].
	Exponent float64 `json:"exponent" yaml:"exponent"`
}

// DefaultConfig is 50 simulations of PUCT with the constants of arXiv:1911.08265, appendix B, no discount and no noise, in a tree,
// one leaf at a time. The constants of the Gumbel search are the Mctx library's.
func DefaultConfig() Config {
	return Config{
		Simulations: 50, Leaves: 1, VirtualLoss: 1, Selection: SelectPUCT, CInit: 1.25, CBase: 19652,
		Normalisation: NormaliseSiblings, FirstPlay: FirstPlayLeast, Discount: 1, NoiseAlpha: 0.3,
		Gumbel: GumbelConfig{Considered: 16, Scale: 1, ValueScale: 0.1, VisitInit: 50},
		Widen:  WidenConfig{Exponent: 0.5},
	}
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var f faults
	f.check(c.Simulations >= 0 && c.Simulations <= maxSimulations, "simulations is %v, want 0 to 1073741824", c.Simulations)
	f.check(c.Budget >= 0, "budget is %v, want at least 0", c.Budget)
	f.check(c.Leaves >= 1, "leaves is %v, want at least 1", c.Leaves)
	f.check(c.Collisions >= 0, "collisions is %v, want at least 0", c.Collisions)
	f.positive("virtual_loss", c.VirtualLoss, true)
	f.check(c.Selection == SelectPUCT || c.Selection == SelectGumbel, `selection is %q, want "puct" or "gumbel"`, c.Selection)
	f.positive("c_init", c.CInit, true)
	f.positive("c_base", c.CBase, false)
	switch c.Normalisation {
	case NormaliseSiblings, NormaliseTree, NormaliseNone:
	default:
		f.check(false, `normalisation is %q, want "siblings", "tree" or "none"`, c.Normalisation)
	}
	f.check(c.FirstPlay == FirstPlayLeast || c.FirstPlay == FirstPlayParent, `first_play is %q, want "least" or "parent"`, c.FirstPlay)
	f.positive("first_play_reduction", c.FirstPlayReduction, true)
	f.check(c.Discount >= 0 && c.Discount <= 1, "discount is %v, want a number in [0, 1]", c.Discount)
	f.positive("noise_alpha", c.NoiseAlpha, false)
	f.check(c.NoiseFraction >= 0 && c.NoiseFraction <= 1, "noise_fraction is %v, want a number in [0, 1]", c.NoiseFraction)
	f.check(c.Gumbel.Considered >= 1, "gumbel considered is %v, want at least 1", c.Gumbel.Considered)
	f.check(c.Gumbel.Plan >= 0 && c.Gumbel.Plan <= maxSimulations, "gumbel plan is %v, want 0 to 1073741824", c.Gumbel.Plan)
	f.positive("gumbel scale", c.Gumbel.Scale, true)
	f.positive("gumbel value_scale", c.Gumbel.ValueScale, true)
	f.positive("gumbel visit_init", c.Gumbel.VisitInit, true)
	f.positive("widen factor", c.Widen.Factor, true)
	f.check(c.Widen.Exponent >= 0 && c.Widen.Exponent <= 1, "widen exponent is %v, want a number in [0, 1]", c.Widen.Exponent)
	f.check(!c.Offers || c.NoiseFraction == 0, "offers with a noise_fraction of %v, want 0", c.NoiseFraction)
	f.check(!c.Offers || c.Widen.Factor == 0, "offers with a widen factor of %v, want 0", c.Widen.Factor)
	return errors.Join(f...)
}

// random tells that a root needs a generator.
func (c Config) random() bool {
	return c.NoiseFraction > 0 || c.Selection == SelectGumbel && c.Gumbel.Scale > 0
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) check(ok bool, format string, value any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format+": %w", value, hone.ErrInvalid))
	}
}

// positive wants a finite number of at least or above 0.
func (f *faults) positive(name string, x float64, zero bool) {
	if zero {
		f.check(x >= 0 && !math.IsInf(x, 0), name+" is %v, want a finite number of at least 0", x)
		return
	}
	f.check(x > 0 && !math.IsInf(x, 0), name+" is %v, want a finite number above 0", x)
}
