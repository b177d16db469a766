package ppo

import "slices"

// LossKind chooses the policy's loss.
type LossKind string

// The losses of the policy. rho is the ratio of the token's probability under the new policy to that under the old, A its advantage.
const (
	// LossClip is max(-A*rho, -A*clip(rho, 1-clip_low, 1+clip_high)): a token beyond a bound has no gradient. arXiv:1707.06347, eq. 7.
	LossClip LossKind = "clip"
	// LossCISPO is -w*A*log pi, with the weight w = clip(rho, 1-clip_low, 1+clip_high) held fixed: a token beyond a bound keeps its
	// gradient, with a bounded weight. clip_low of 1 leaves the lower side open, as its authors do. Chen et al. 2025, arXiv:2506.13585, eq. 4.
	LossCISPO LossKind = "cispo"
	// LossGSPO is LossClip of a whole sequence, whose ratio is the geometric mean of its tokens', exp(mean(log rho)); bounds are
	// orders of magnitude tighter than those of tokens. Zheng et al. 2025, arXiv:2507.18071, eq. 5 to 7. Differs: where advantages
	// differ among the tokens of a sequence, their mean is the sequence's.
	LossGSPO LossKind = "gspo"
)

// Aggregation chooses how the losses of tokens become one number. The divisors are those of the whole minibatch, however it is cut.
type Aggregation string

// The aggregations.
const (
	// AggregateTokenMean divides the sum over all tokens by their number: a long sequence counts for more. arXiv:2503.14476, section 3.3.
	AggregateTokenMean Aggregation = "token_mean"
	// AggregateSequenceMean is the mean over sequences of the means over their tokens: each sequence counts the same, and a token of
	// a long one for less. arXiv:2402.03300, eq. 3.
	AggregateSequenceMean Aggregation = "seq_mean_token_mean"
	// AggregateSequenceSum is the mean over sequences of the sums over their tokens, divided by the constant Config.SequenceTokens:
	// each token counts the same, whatever the batch. arXiv:2503.20783, appendix.
	AggregateSequenceSum Aggregation = "seq_mean_token_sum"
)

// KLPenalty chooses where the KL divergence from the reference policy is charged, and by which estimator. It is charged in one place
// only: a penalty in the reward xor in the loss.
//
// There is no plain k1 in the loss. Its gradient on the policy's own samples is that of kl_coef * log pi, of which the expectation is
// 0: it would add noise and hold nothing.
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
	// KLInLossK1Straight and KLInLossK3Straight add the value of k1 or k3 to the loss, and the gradient of k2: a number that is an
	// unbiased estimate beside a gradient that is right. They learn what KLInLossK2 learns and say what they are named after.
	KLInLossK1Straight KLPenalty = "loss_k1_straight"
	KLInLossK3Straight KLPenalty = "loss_k3_straight"
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

// known tells whether v is among the choices.
func known[T comparable](v T, choices ...T) bool { return slices.Contains(choices, v) }
