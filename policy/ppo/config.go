package ppo

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
)

// KLPenalty chooses where the KL divergence from the reference policy is charged. It is charged in one place only.
type KLPenalty string

// The places to charge the KL divergence.
const (
	// KLInReward subtracts kl_coef * k1 from each token's reward, so that a token also answers for the divergence it leads to.
	KLInReward KLPenalty = "reward"
	// KLInLossK2 adds kl_coef * mean(k2) to the loss. On the policy's own samples its gradient is that of the divergence.
	KLInLossK2 KLPenalty = "loss_k2"
	// KLInLossK3 adds kl_coef * mean(k3) to the loss. Its value is a good estimate, its gradient is that of the reverse
	// divergence, and it is offered because GRPO does so.
	KLInLossK3 KLPenalty = "loss_k3"
)

// Truncation says what the state after the last token of a trajectory that met the token limit is worth.
type Truncation string

// The treatments of a trajectory that met the token limit.
const (
	// TruncationBootstrap takes the value head's word for it: the limit is no part of the problem. Where the verifier calls a
	// completion without an answer wrong, this makes running on worth more than a wrong answer, and a policy may learn to.
	TruncationBootstrap Truncation = "bootstrap"
	// TruncationTerminal takes it as worth nothing: the limit is part of the problem, as it is where a policy is evaluated
	// under the same limit. Pardo et al. 2018, arXiv:1712.00378, draw the distinction.
	TruncationTerminal Truncation = "terminal"
)

// Config is everything an update can be told. The zero value is not valid; start from [DefaultConfig].
type Config struct {
	// Estimator says how advantages are estimated; its fields stand among these.
	advantage.Estimator `yaml:",inline"`
	// GroupSpread is the least difference between the best and the worst reward among the samples of one problem for the group to be
	// trained on, >= 0; 0 trains on all. A group that earned all the same tells the policy gradient nothing for its cost: dynamic
	// sampling of arXiv:2503.14476, section 3.2. Differs: groups left out are not topped up, and where none is left none is left out.
	GroupSpread float64 `yaml:"group_spread" json:"group_spread"`
	// Truncation says what follows the token limit.
	Truncation Truncation `yaml:"truncation" json:"truncation"`

	// ClipLow is how far below 1 the probability ratio may take part in the gradient, in (0, 1].
	ClipLow float64 `yaml:"clip_low" json:"clip_low"`
	// ClipHigh is how far above 1, > 0. More than ClipLow lets rare tokens grow (arXiv:2503.14476, section 3.1).
	ClipHigh float64 `yaml:"clip_high" json:"clip_high"`
	// DualClip bounds the loss of a token with a negative advantage A by -A*DualClip, > 1; 0 is off. arXiv:1912.09729.
	DualClip float64 `yaml:"dual_clip" json:"dual_clip"`
	// ValueClip is how far the value may move from the old one before its loss stops pulling, in units of reward; 0 is off.
	ValueClip float64 `yaml:"value_clip" json:"value_clip"`
	// ValueCoef weighs the value loss, >= 0.
	ValueCoef float64 `yaml:"value_coef" json:"value_coef"`
	// ValueDetached keeps the value loss from changing the transformer: the value head learns to read it and nothing more. A small
	// policy whose values are far off at first is otherwise bent by them.
	ValueDetached bool `yaml:"value_detached" json:"value_detached"`
	// EntropyCoef weighs the entropy bonus, >= 0, in reward a nat.
	EntropyCoef float64 `yaml:"entropy_coef" json:"entropy_coef"`
	// ImitationCoef weighs the cross-entropy on trajectories found by search, >= 0; 0 leaves them out.
	ImitationCoef float64 `yaml:"imitation_coef" json:"imitation_coef"`

	// KLPenalty is where the divergence from the reference is charged.
	KLPenalty KLPenalty `yaml:"kl_penalty" json:"kl_penalty"`
	// KLCoef is the first coefficient of the divergence, >= 0, in reward a nat; 0 turns the penalty off for good.
	KLCoef float64 `yaml:"kl_coef" json:"kl_coef"`
	// KLTarget is the divergence the controller steers to, in nats a trajectory, >= 0; 0 keeps the coefficient as it is.
	KLTarget float64 `yaml:"kl_target" json:"kl_target"`
	// KLHorizon is the number of trajectories over which the controller acts, > 0.
	KLHorizon float64 `yaml:"kl_horizon" json:"kl_horizon"`

	// Epochs is how many times an update goes through its trajectories, >= 1.
	Epochs int `yaml:"epochs" json:"epochs"`
	// Minibatches is the number of steps of the optimiser an epoch, >= 1; no more than there are sampled trajectories are made.
	Minibatches int `yaml:"minibatches" json:"minibatches"`
	// TargetKL ends the update early once a minibatch's divergence from the sampling policy (mean k3) exceeds it, in nats a
	// token, >= 0; 0 never does.
	TargetKL float64 `yaml:"target_kl" json:"target_kl"`
	// BatchTokens is the most tokens, prompts included, that go through the graph at once, in [1, policy.MaxBatch]; each
	// trajectory must fit. It bounds memory and changes no result but by rounding: gradients of parts add up to the whole.
	BatchTokens int `yaml:"batch_tokens" json:"batch_tokens"`
	// Checkpoint computes each layer twice to hold less memory, see policy.TrainerOptions. It changes no bit of a result.
	Checkpoint bool `yaml:"checkpoint" json:"checkpoint"`

	// LearningRate is the peak of the schedule, > 0.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	// Warmup is the number of updates over which the rate rises to its peak, >= 0.
	Warmup int `yaml:"warmup" json:"warmup"`
	// ClipNorm is the largest norm of the gradient over all parameters, >= 0; 0 does not clip.
	ClipNorm float64 `yaml:"clip_norm" json:"clip_norm"`
}

// DefaultConfig is a start for verifiable rewards of about 1 a trajectory. Gamma, lambda, the value clip and coefficient are
// those of arXiv:1909.08593's released code, the clip bounds and the token mean those of arXiv:2503.14476.
func DefaultConfig() Config {
	return Config{
		Estimator:     advantage.Estimator{Advantage: advantage.GAE, Gamma: 1, Lambda: 0.95},
		Truncation:    TruncationBootstrap,
		ClipLow:       0.2,
		ClipHigh:      0.28,
		ValueClip:     0.2,
		ValueCoef:     0.5,
		ImitationCoef: 0.1,
		KLPenalty:     KLInReward,
		KLCoef:        0.01,
		KLTarget:      10,
		KLHorizon:     10000,
		Epochs:        2,
		Minibatches:   4,
		TargetKL:      0.05,
		BatchTokens:   2048,
		LearningRate:  2e-4,
		Warmup:        2,
		ClipNorm:      1,
	}
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	if err := c.Estimator.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("ppo: %w", err))
	}
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("ppo: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

	want(c.Truncation == TruncationBootstrap || c.Truncation == TruncationTerminal, "truncation", c.Truncation, "bootstrap or terminal")
	want(atLeastZero(c.GroupSpread), "group_spread", c.GroupSpread, "at least 0")
	want(c.ClipLow > 0 && c.ClipLow <= 1, "clip_low", c.ClipLow, "in (0, 1]")
	want(positive(c.ClipHigh), "clip_high", c.ClipHigh, "above 0")
	want(c.DualClip == 0 || c.DualClip > 1 && !math.IsInf(c.DualClip, 0), "dual_clip", c.DualClip, "0 or above 1")
	want(atLeastZero(c.ValueClip), "value_clip", c.ValueClip, "at least 0")
	want(atLeastZero(c.ValueCoef), "value_coef", c.ValueCoef, "at least 0")
	want(c.ValueCoef != 0 || c.Advantage != advantage.GAE, "value_coef", c.ValueCoef,
		"above 0 with gae, whose advantages need a value head that learns; the other estimators need none")
	want(atLeastZero(c.EntropyCoef), "entropy_coef", c.EntropyCoef, "at least 0")
	want(atLeastZero(c.ImitationCoef), "imitation_coef", c.ImitationCoef, "at least 0")
	want(c.KLPenalty == KLInReward || c.KLPenalty == KLInLossK2 || c.KLPenalty == KLInLossK3,
		"kl_penalty", c.KLPenalty, "reward, loss_k2 or loss_k3")
	want(atLeastZero(c.KLCoef), "kl_coef", c.KLCoef, "at least 0")
	want(atLeastZero(c.KLTarget), "kl_target", c.KLTarget, "at least 0")
	want(positive(c.KLHorizon), "kl_horizon", c.KLHorizon, "above 0")
	want(c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(c.Minibatches >= 1, "minibatches", c.Minibatches, "at least 1")
	want(atLeastZero(c.TargetKL), "target_kl", c.TargetKL, "at least 0")
	want(c.BatchTokens >= 1 && c.BatchTokens <= policy.MaxBatch, "batch_tokens", c.BatchTokens,
		fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	want(positive(c.LearningRate), "learning_rate", c.LearningRate, "above 0")
	want(c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(atLeastZero(c.ClipNorm), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(errs...)
}

// optimiserEps is Adam's epsilon in most implementations of PPO: with small gradients the usual 1e-8 makes first steps too large.
const optimiserEps = 1e-5

// AdamW is the optimiser that c describes. Weights do not decay: the reference holds the policy, not the origin.
func (c Config) AdamW() policy.AdamWConfig {
	a := policy.DefaultAdamWConfig()
	a.Eps, a.WeightDecay, a.ClipNorm = optimiserEps, 0, c.ClipNorm
	return a
}

// Schedule is the learning rate over a run of the given number of updates, by the number of the update: all steps of one have the
// same. It rises over the warm-up and falls along a cosine to a tenth. A warm-up longer than the run is cut to fit.
func (c Config) Schedule(updates int) policy.Schedule {
	return policy.Schedule{Warmup: min(c.Warmup, max(updates-1, 0)), Total: updates, Peak: c.LearningRate, Floor: c.LearningRate / 10}
}
