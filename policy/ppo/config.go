package ppo

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
)

// Config is everything an update can be told. The zero value is not valid; start from [DefaultConfig].
type Config struct {
	// Estimator says how advantages are estimated; its fields stand among these.
	advantage.Estimator `yaml:",inline"`
	// GroupSpread is the least difference between the best and the worst reward among the samples of one problem for the group to be
	// trained on, >= 0; 0 trains on all. A group that earned all the same tells the policy gradient nothing for its cost: dynamic
	// sampling of arXiv:2503.14476, section 3.2, which whoever samples may make up for; see [Groups]. Differs: where none is left none is
	// left out.
	GroupSpread float64 `yaml:"group_spread" json:"group_spread"`
	// Truncation says what follows the token limit.
	Truncation Truncation `yaml:"truncation" json:"truncation"`

	// Loss is the policy's loss.
	Loss LossKind `yaml:"loss" json:"loss"`
	// Aggregation says how the losses of tokens become one number: those of policy, value, entropy and divergence alike.
	Aggregation Aggregation `yaml:"aggregation" json:"aggregation"`
	// SequenceTokens is the constant that seq_mean_token_sum divides by, in tokens, such as the token limit; >= 0, and 0 is 1.
	SequenceTokens int `yaml:"sequence_tokens" json:"sequence_tokens"`
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
	// EntropyTarget is the entropy that a controller of the coefficient steers to, in nats a token, >= 0; 0 keeps EntropyCoef as it is.
	EntropyTarget float64 `yaml:"entropy_target" json:"entropy_target"`
	// EntropyStep is what the controller changes the coefficient by in one update, >= 0; see [EntropyController].
	EntropyStep float64 `yaml:"entropy_step" json:"entropy_step"`
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

	// Importance is how samples of another policy than the one that learns are treated.
	Importance Importance `yaml:"importance" json:"importance"`
	// Shaping changes rewards before anything is charged to them.
	Shaping Shaping `yaml:"shaping" json:"shaping"`
	// Schedules change settings over the cycles of a run.
	Schedules Schedules `yaml:"schedules" json:"schedules"`
	// Guard watches for a collapse.
	Guard Guard `yaml:"guard" json:"guard"`

	// CriticWarmup is the number of updates at the start of a run that train the value head alone, >= 0. They count as updates in every
	// schedule.
	CriticWarmup int `yaml:"critic_warmup" json:"critic_warmup"`
	// CriticPretrain is the number of times, >= 0, that the value head goes over all trajectories stored of the warm-up's updates once they
	// are over; see [Config.Pretraining].
	CriticPretrain int `yaml:"critic_pretrain" json:"critic_pretrain,omitempty"`
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
		Loss:          LossClip,
		Aggregation:   AggregateTokenMean,
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
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

	want(&errs, known(c.Loss, LossClip, LossCISPO, LossGSPO), "loss", c.Loss, "clip, cispo or gspo")
	want(&errs, known(c.Aggregation, AggregateTokenMean, AggregateSequenceMean, AggregateSequenceSum),
		"aggregation", c.Aggregation, "token_mean, seq_mean_token_mean or seq_mean_token_sum")
	want(&errs, c.Loss != LossGSPO || c.Aggregation == AggregateSequenceMean,
		"aggregation", c.Aggregation, "seq_mean_token_mean with gspo, whose loss is one number a sequence")
	want(&errs, c.SequenceTokens >= 0, "sequence_tokens", c.SequenceTokens, "at least 0")
	want(&errs, c.SequenceTokens == 0 || c.Aggregation == AggregateSequenceSum,
		"sequence_tokens", c.SequenceTokens, "0 with "+string(c.Aggregation)+", which has no constant to divide by")
	want(&errs, c.Truncation == TruncationBootstrap || c.Truncation == TruncationTerminal, "truncation", c.Truncation, "bootstrap or terminal")
	want(&errs, atLeastZero(c.GroupSpread), "group_spread", c.GroupSpread, "at least 0")
	want(&errs, c.ClipLow > 0 && c.ClipLow <= 1, "clip_low", c.ClipLow, "in (0, 1]")
	want(&errs, positive(c.ClipHigh), "clip_high", c.ClipHigh, "above 0")
	want(&errs, c.DualClip == 0 || c.Loss != LossCISPO, "dual_clip", c.DualClip, "0 with cispo, whose weights are bounded already")
	want(&errs, c.DualClip == 0 || c.DualClip > 1 && !math.IsInf(c.DualClip, 0), "dual_clip", c.DualClip, "0 or above 1")
	want(&errs, atLeastZero(c.ValueClip), "value_clip", c.ValueClip, "at least 0")
	want(&errs, atLeastZero(c.ValueCoef), "value_coef", c.ValueCoef, "at least 0")
	want(&errs, c.ValueCoef != 0 || c.Advantage != advantage.GAE, "value_coef", c.ValueCoef,
		"above 0 with gae, whose advantages need a value head that learns; the other estimators need none")
	want(&errs, atLeastZero(c.EntropyCoef), "entropy_coef", c.EntropyCoef, "at least 0")
	want(&errs, atLeastZero(c.EntropyTarget), "entropy_target", c.EntropyTarget, "at least 0")
	want(&errs, atLeastZero(c.EntropyStep), "entropy_step", c.EntropyStep, "at least 0")
	want(&errs, (c.EntropyTarget > 0) == (c.EntropyStep > 0), "entropy_step", c.EntropyStep, "above 0 with an entropy_target, and 0 without")
	want(&errs, c.CriticWarmup >= 0, "critic_warmup", c.CriticWarmup, "at least 0")
	want(&errs, c.CriticWarmup == 0 || c.ValueCoef > 0, "critic_warmup", c.CriticWarmup, "0 without a value_coef: nothing would learn")
	want(&errs, c.CriticPretrain >= 0, "critic_pretrain", c.CriticPretrain, "at least 0")
	want(&errs, c.CriticPretrain == 0 || c.CriticWarmup > 0, "critic_pretrain", c.CriticPretrain,
		"0 without a critic_warmup, whose trajectories it goes over")
	want(&errs, atLeastZero(c.ImitationCoef), "imitation_coef", c.ImitationCoef, "at least 0")
	want(&errs, c.KLPenalty != "loss_k1", "kl_penalty", c.KLPenalty,
		"another: the gradient of k1 in the loss is 0 in expectation, so it holds nothing")
	want(&errs, known(c.KLPenalty, "loss_k1", KLInReward, KLInLossK2, KLInLossK3, KLInLossK1Straight, KLInLossK3Straight),
		"kl_penalty", c.KLPenalty, "reward, loss_k2, loss_k3, loss_k1_straight or loss_k3_straight")
	want(&errs, atLeastZero(c.KLCoef), "kl_coef", c.KLCoef, "at least 0")
	want(&errs, atLeastZero(c.KLTarget), "kl_target", c.KLTarget, "at least 0")
	want(&errs, positive(c.KLHorizon), "kl_horizon", c.KLHorizon, "above 0")
	want(&errs, c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(&errs, c.Minibatches >= 1, "minibatches", c.Minibatches, "at least 1")
	want(&errs, atLeastZero(c.TargetKL), "target_kl", c.TargetKL, "at least 0")
	if c.BatchTokens < 1 || c.BatchTokens > policy.MaxBatch {
		want(&errs, false, "batch_tokens", c.BatchTokens, fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	}
	want(&errs, positive(c.LearningRate), "learning_rate", c.LearningRate, "above 0")
	want(&errs, c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(&errs, atLeastZero(c.ClipNorm), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(append(errs, c.Importance.Validate(), c.Shaping.Validate(), c.Schedules.validate(c), c.Guard.Validate())...)
}

// want adds a fault where a value is not ok. It is generic so that good values are not moved to the heap, update after update.
func want[T any](errs *[]error, ok bool, name string, value T, rule string) {
	if !ok {
		*errs = append(*errs, fmt.Errorf("ppo: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
	}
}

// Pretraining is c for an update with UpdateInput.ValueOnly over stored trajectories: CriticPretrain passes in which the value head learns
// what was in fact earned (lambda 1), of problems whose samples all earned the same too, and is not held to the values it gave before.
// It needs no reference. Yuan et al. 2025, arXiv:2503.01491, value pretraining.
func (c Config) Pretraining() Config {
	c.Epochs = c.CriticPretrain
	c.Advantage, c.LambdaValue, c.LambdaAlpha = advantage.GAE, 1, 0
	c.ValueClip, c.GroupSpread, c.ImitationCoef, c.TargetKL = 0, 0, 0, 0
	c.EntropyCoef, c.EntropyTarget, c.EntropyStep = 0, 0, 0
	c.Importance, c.Schedules = Importance{}, Schedules{}
	return c
}

// optimiserEps is Adam's epsilon in most implementations of PPO: with small gradients the usual 1e-8 makes first steps too large.
const optimiserEps = 1e-5

// AdamW is the optimiser that c describes. Weights do not decay: the reference holds the policy, not the origin.
func (c Config) AdamW() policy.AdamWConfig {
	a := policy.DefaultAdamWConfig()
	a.Eps, a.WeightDecay, a.ClipNorm = optimiserEps, 0, c.ClipNorm
	return a
}
