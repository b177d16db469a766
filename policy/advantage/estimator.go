package advantage

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
)

// Kind names an estimator. Values are stored with a run's configuration; append only.
type Kind string

// The estimators. G_t is the discounted reward still to come at token t, and R = G_0 that of the whole trajectory.
const (
	// GAE is generalised advantage estimation with the policy's value head, whitened over the batch; see [Episode.Advantages].
	GAE Kind = "gae"
	// GRPO is (R - mean) / (std + 1e-6) over the samples of a problem, the same for each token.
	GRPO Kind = "grpo"
	// DrGRPO is R - mean over the samples of a problem: what is left of GRPO without its bias towards problems of little spread.
	DrGRPO Kind = "dr_grpo"
	// RLOO is the reward to come less the mean of the other samples of the problem, see [LeaveOneOut], divided by the deviation
	// over the batch. Differs: the paper does not divide; with Adam this is a matter of units.
	RLOO Kind = "rloo"
	// ReinforcePP is G_t whitened over all tokens of the batch: no group, no value head.
	ReinforcePP Kind = "reinforce_pp"
	// ReinforcePPBaseline is G_t less the mean R of the problem's samples, whitened over all tokens of the batch.
	ReinforcePPBaseline Kind = "reinforce_pp_baseline"
	// MonteCarlo is G_t less the mean R of all trajectories of the batch, and not scaled.
	MonteCarlo Kind = "monte_carlo"
	// Tree compares each step of a searched line with its siblings in the search tree, see [Branch], and is not scaled.
	Tree Kind = "tree"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{GAE, GRPO, DrGRPO, RLOO, ReinforcePP, ReinforcePPBaseline, MonteCarlo, Tree}
}

// Grouped tells whether the estimator compares the samples of one problem, so that a problem needs at least two.
func (k Kind) Grouped() bool {
	return k == GRPO || k == DrGRPO || k == RLOO || k == ReinforcePPBaseline
}

// Estimator says how advantages are estimated, and what the value head is trained towards beside them.
type Estimator struct {
	// Advantage is the estimator of advantages.
	Advantage Kind `yaml:"advantage" json:"advantage"`
	// Gamma is the discount a token, in [0, 1]. 1 is usual for language: a reasoning step is not worth less for coming later.
	// Estimators that compare whole rewards (those of groups, and tree) need 1.
	Gamma float64 `yaml:"gamma" json:"gamma"`
	// Lambda trades the bias of the value head (0) for the variance of the return (1), in [0, 1]; for gae.
	Lambda float64 `yaml:"lambda" json:"lambda"`
	// LambdaValue is the lambda of the returns that the value head is trained towards, in (0, 1]; 0 takes Lambda. 1 trains it
	// towards what was in fact earned, whatever the policy's advantages are made of: arXiv:2504.05118, section 4.1.
	LambdaValue float64 `yaml:"lambda_value" json:"lambda_value"`
	// LambdaAlpha makes the policy's lambda go with the length of the trajectory, 1 - 1/(LambdaAlpha*T), at least 0, so that the
	// horizon of 1/(1-lambda) tokens is that part of it: arXiv:2504.05118, section 4.2, where it is 0.05. >= 0; 0 takes Lambda.
	LambdaAlpha float64 `yaml:"lambda_alpha" json:"lambda_alpha"`
	// WhitenBiased divides the variance of the whitening by n instead of n - 1, for those that whiten: gae and reinforce_pp with and without
	// baseline.
	WhitenBiased bool `yaml:"whiten_biased" json:"whiten_biased,omitempty"`
}

// Validate reports every value that is out of range or has no effect, joined, each wrapping [hone.ErrInvalid].
func (e Estimator) Validate() error {
	var errs []error
	fault := func(name string, value any, rule string, about ...any) {
		errs = append(errs, fmt.Errorf("%s is %v, must be %s: %w", name, value, fmt.Sprintf(rule, about...), hone.ErrInvalid))
	}
	unit := func(name string, v float64) {
		if !(v >= 0 && v <= 1) {
			fault(name, v, "in [0, 1]")
		}
	}
	if !slices.Contains(Kinds(), e.Advantage) {
		fault("advantage", e.Advantage, "one of %s", Kinds())
	}
	unit("gamma", e.Gamma)
	unit("lambda", e.Lambda)
	unit("lambda_value", e.LambdaValue)
	if !(e.LambdaAlpha >= 0) || math.IsInf(e.LambdaAlpha, 0) {
		fault("lambda_alpha", e.LambdaAlpha, "at least 0")
	}
	if (e.Advantage.Grouped() || e.Advantage == Tree) && e.Gamma >= 0 && e.Gamma < 1 {
		fault("gamma", e.Gamma, "1 with %s, which compares whole rewards", e.Advantage)
	}
	if e.LambdaAlpha != 0 && e.Advantage != GAE {
		fault("lambda_alpha", e.LambdaAlpha, "0 with %s, which has no lambda", e.Advantage)
	}
	if e.WhitenBiased && e.Advantage != GAE && e.Advantage != ReinforcePP && e.Advantage != ReinforcePPBaseline {
		fault("whiten_biased", e.WhitenBiased, "false with %s, which does not whiten", e.Advantage)
	}
	return errors.Join(errs...)
}

// policyLambda is the lambda of the advantages of a trajectory of n tokens.
func (e Estimator) policyLambda(n int) float64 {
	if e.LambdaAlpha > 0 {
		return max(0, 1-1/(e.LambdaAlpha*float64(n)))
	}
	return e.Lambda
}

// valueLambda is the lambda of the returns.
func (e Estimator) valueLambda() float64 {
	if e.LambdaValue > 0 {
		return e.LambdaValue
	}
	return e.Lambda
}
