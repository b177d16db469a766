package ppo

import (
	"math"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
)

// Stats is what an update says of itself. The names are those of doc/metrics.md. "Mean" without more is over the sampled tokens
// of all minibatches that were looked at; KL divergences and entropies are in nats, natural logarithms throughout.
type Stats struct {
	// RewardMean is the mean over sampled trajectories of the sum of their task rewards, before any charge for divergence.
	RewardMean float64 `json:"reward_mean"`
	// RewardStd is the deviation of those sums, sqrt(sum (x - mean)^2 / (n - 1)).
	RewardStd float64 `json:"reward_std"`
	// RewardShaping is the mean over trajectories of what Config.Shaping added to the sum; what it took is negative.
	RewardShaping float64 `json:"reward_shaping"`
	// RewardCharge is the mean over trajectories of what was taken off for divergence, beta * sum_t (logpSampler - logpRef); 0 where
	// the loss is charged instead.
	RewardCharge float64 `json:"reward_charge"`

	// PolicyLoss is the mean of max(-A*rho, -A*clip(rho, 1-clip_low, 1+clip_high)), dual clip included.
	PolicyLoss float64 `json:"policy_loss"`
	// ValueLoss is the mean of max((v-R)^2, (clip(v, vOld-c, vOld+c)-R)^2) / 2, before value_coef.
	ValueLoss float64 `json:"value_loss"`
	// Entropy is the mean of -sum_v p_v log p_v over the vocabulary at each token.
	Entropy float64 `json:"entropy"`
	// ImitationLoss is the mean of -log p over the tokens of search's lines, before imitation_coef; 0 without any.
	ImitationLoss float64 `json:"imitation_loss"`

	// KLOldK1 is the mean of logpOld - logpNew: how far the update moved the policy, signed.
	KLOldK1 float64 `json:"kl_old_k1"`
	// KLOldK2 is the mean of (logpOld - logpNew)^2 / 2.
	KLOldK2 float64 `json:"kl_old_k2"`
	// KLOldK3 is the mean of exp(d) - 1 - d, d = logpNew - logpOld: the same, never negative. target_kl bounds it.
	KLOldK3 float64 `json:"kl_old_k3"`
	// KLRefK1 is the mean of logpNew - logpRef; 0 without a reference.
	KLRefK1 float64 `json:"kl_ref_k1"`
	// KLRefK2 is the mean of (logpNew - logpRef)^2 / 2; 0 without a reference.
	KLRefK2 float64 `json:"kl_ref_k2"`
	// KLRefK3 is the mean of exp(-d) - 1 + d, d = logpNew - logpRef; 0 without a reference.
	KLRefK3 float64 `json:"kl_ref_k3"`
	// KLRefTrajectory is the mean over trajectories of sum_t (logpSampler - logpRef), before the update: what the controller of the
	// coefficient steers by. 0 without a reference.
	KLRefTrajectory float64 `json:"kl_ref_trajectory"`
	// EntropyCoef is the coefficient of the entropy that this update used.
	EntropyCoef float64 `json:"entropy_coef"`
	// KLCoef is the coefficient that this update used.
	KLCoef float64 `json:"kl_coef"`

	// ClipFracLow is the fraction of tokens whose loss the lower bound decided: A < 0 and rho < 1-clip_low.
	ClipFracLow float64 `json:"clip_frac_low"`
	// ClipFracHigh is the same of the upper bound: A > 0 and rho > 1+clip_high.
	ClipFracHigh float64 `json:"clip_frac_high"`
	// ClipFracDual is the same of the dual clip: A < 0 and rho > dual_clip.
	ClipFracDual float64 `json:"clip_frac_dual"`
	// ClipFracValue is the fraction of tokens whose value loss the clip decided.
	ClipFracValue float64 `json:"clip_frac_value"`
	// RatioMin and RatioMax are the extremes of rho = exp(clamp(logpNew - logpOld, -20, 20)).
	RatioMin float64 `json:"ratio_min"`
	RatioMax float64 `json:"ratio_max"`
	// RatioFirstMaxDev is the largest |rho - 1| of the first minibatch, before any step is taken: how well sampler and trainer agree.
	// Expect 1e-4 or less; more means that the two compute different policies.
	RatioFirstMaxDev float64 `json:"ratio_first_max_dev"`

	// EffectiveSampleSize is (sum rho)^2 / (n * sum rho^2), in (0, 1]: the part of the tokens that as many equal ones would be worth.
	EffectiveSampleSize float64 `json:"effective_sample_size"`
	// ImportanceMean is the mean weight for where samples came from, ImportanceTruncated the fraction of tokens whose weight met its
	// bound, ImportanceESS their effective sample size, and MismatchK1 and MismatchK3 the means of both estimators of the divergence of
	// the sampler from the policy at the start. All are 0 without Importance.Truncate.
	ImportanceMean      float64 `json:"importance_mean"`
	ImportanceTruncated float64 `json:"importance_truncated"`
	ImportanceESS       float64 `json:"importance_ess"`
	MismatchK1          float64 `json:"mismatch_k1"`
	MismatchK3          float64 `json:"mismatch_k3"`

	// ExplainedVariance is 1 - Var(R - vOld)/Var(R) over the sampled tokens: 1 is a perfect value head, 0 one that knows no more
	// than the mean, below 0 one that knows less. 0 where Var(R) is 0.
	ExplainedVariance float64 `json:"explained_variance"`
	// AdvantageMean and AdvantageStd are of the advantages before whitening.
	AdvantageMean float64 `json:"advantage_mean"`
	AdvantageStd  float64 `json:"advantage_std"`
	// AdvantageMin to AdvantageMax are quantiles of the advantages as the loss reads them, after any scaling.
	AdvantageMin float64 `json:"advantage_min"`
	AdvantageP05 float64 `json:"advantage_p05"`
	AdvantageP25 float64 `json:"advantage_p25"`
	AdvantageP50 float64 `json:"advantage_p50"`
	AdvantageP75 float64 `json:"advantage_p75"`
	AdvantageP95 float64 `json:"advantage_p95"`
	AdvantageMax float64 `json:"advantage_max"`
	// ReturnMean is the mean of the returns R.
	ReturnMean float64 `json:"return_mean"`

	// GradNorm and GradNormMax are the mean and the largest norm of the gradient over all parameters, before clipping, of the
	// steps that were taken.
	GradNorm    float64 `json:"grad_norm"`
	GradNormMax float64 `json:"grad_norm_max"`
	// GradNormAlarms is the number of steps whose norm was above Guard.GradNorm.
	GradNormAlarms int `json:"grad_norm_alarms"`
	// UpdateRatio is |w' - w| / |w|, 2-norms of all weights after the update and before.
	UpdateRatio float64 `json:"update_ratio"`
	// LengthMean is the mean number of tokens of the sampled trajectories.
	LengthMean float64 `json:"length_mean"`
	// LearningRate is that of this update.
	LearningRate float64 `json:"learning_rate"`
	// Tokens is the number of sampled tokens trained on, each counted once whatever the epochs.
	Tokens int `json:"tokens"`
	// ImitationTokens is the number of tokens of search's lines trained on, likewise.
	ImitationTokens int `json:"imitation_tokens"`
	// Steps is the number of steps that the optimiser took.
	Steps int `json:"steps"`
	// SkippedSteps is the number of steps not taken because a loss or a gradient was not finite.
	SkippedSteps int `json:"skipped_steps"`
	// StoppedEarly is 1 if target_kl ended the update before its last minibatch, else 0.
	StoppedEarly int `json:"stopped_early"`

	// Usage is what the routers did with all tokens of the minibatches, prompts included; nothing without experts. Its numbers have names
	// of their own, see policy.Usage.Metrics.
	Usage policy.Usage `json:"-"`

	// Blocks are the parts of GradNorm, in the order of the policy's tensors. Their names in metrics are grad_norm_<block>.
	Blocks []Block `json:"-"`

	weighed weighed

	Census
}

// describe fills in what is known before the first step.
func (s *Stats) describe(samples, imitations []*sample, raw advantage.Spread) {
	tokens := 0
	for _, x := range samples {
		tokens += len(x.returns)
	}
	const each, long = 4, 3
	r := arena[float64]{free: make([]float64, each*len(samples)+long*tokens)}
	column := func(n int) []float64 { return r.take(n)[:0] }
	totals, charges, shapings, lengths := column(len(samples)), column(len(samples)), column(len(samples)), column(len(samples))
	returns, residuals, advantages := column(tokens), column(tokens), column(tokens)
	for _, x := range samples {
		totals = append(totals, sum(x.task))
		charges = append(charges, sum(x.shaped)-sum(x.rewards))
		shapings = append(shapings, sum(x.shaped)-sum(x.task))
		lengths = append(lengths, float64(len(x.returns)))
		advantages = append(advantages, x.advantages...)
		s.Tokens += len(x.returns)
		returns = append(returns, x.returns...)
		for t, r := range x.returns {
			residuals = append(residuals, r-x.valuesOld[t])
		}
	}
	for _, x := range imitations {
		s.ImitationTokens += len(x.trajectory.Tokens)
	}
	var variance, residual float64
	s.RewardMean, variance = advantage.Moments(totals, nil)
	s.RewardStd = math.Sqrt(variance)
	s.RewardCharge, _ = advantage.Moments(charges, nil)
	s.RewardShaping, _ = advantage.Moments(shapings, nil)
	s.LengthMean, _ = advantage.Moments(lengths, nil)
	s.quantiles(advantages)
	s.AdvantageMean, s.AdvantageStd = raw.Mean, raw.Std
	s.ReturnMean, variance = advantage.Moments(returns, nil)
	if _, residual = advantage.Moments(residuals, nil); variance > 0 {
		s.ExplainedVariance = 1 - residual/variance
	}
}

// observe fills in what the loss saw over the whole update.
func (s *Stats) observe(t *tally, reference bool) {
	s.PolicyLoss, s.ValueLoss, s.Entropy, s.ImitationLoss = t.policy.value(), t.value.value(), t.entropy.value(), t.imitation.value()
	s.KLOldK1, s.KLOldK2, s.KLOldK3 = t.oldK1.value(), t.oldK2.value(), t.oldK3.value()
	if reference {
		s.KLRefK1, s.KLRefK2, s.KLRefK3 = t.refK1.value(), t.refK2.value(), t.refK3.value()
	}
	s.EffectiveSampleSize = effectiveSampleSize(t.ratioSum, t.ratioSquares, t.policy.n)
	w := s.weighed
	s.ImportanceMean, s.MismatchK1, s.MismatchK3 = w.weight.value(), w.k1.value(), w.k3.value()
	s.ImportanceESS = effectiveSampleSize(w.weight.sum, w.squares, w.weight.n)
	if w.weight.n > 0 {
		s.ImportanceTruncated = float64(w.truncated) / float64(w.weight.n)
	}
	s.ClipFracLow, s.ClipFracHigh = t.fraction(t.low), t.fraction(t.high)
	s.ClipFracDual, s.ClipFracValue = t.fraction(t.dual), t.fraction(t.held)
	s.RatioMin, s.RatioMax = t.ratioMin, t.ratioMax
	s.Usage = t.usage
}

// sum adds from the front.
func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
