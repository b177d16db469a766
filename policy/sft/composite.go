package sft

import "math"

// leastDoubt is how far below certainty, in nats, the probability of a forbidden completion is taken to be at most: the logarithm has
// no end there, and one completion must not drown the rest of a step.
const leastDoubt = 1e-4

// composite is the loss of a step whose examples are learned or forbidden, with a bonus for entropy:
//
//	L = 1/N * sum over learned tokens [ -logp_t - diversity * H_t ] + constraint/F * sum over forbidden completions [ -log(1 - P_f) ]
//
// with N learned tokens and F forbidden completions in the step, and P_f = exp(sum_t logp_t) the probability of the whole completion. The
// last term is the unlikelihood of Welleck et al. 2020, arXiv:1908.04319, eq. 4, of which a forbidden token is the case of length one.
// Differs: the completion is forbidden as a whole, not token by token, since a false step is mostly made of true tokens. Where P_f is
// small so is its gradient: the policy is held from what it would do, not from what it would not.
//
// The entropy bonus is the confidence penalty of Pereyra et al. 2017, arXiv:1701.06548, section 2.
type composite struct {
	diversity, constraint float64
	// learned and forbidden are the step's totals, N and F.
	learned, forbidden int
}

// span is a completion's rows in a batch.
type span struct {
	from, to  int
	forbidden bool
}

// seen is what a composite saw, summed.
type seen struct{ logp, entropy, unlikelihood float64 }

// evaluate is the loss of the batch's part of the step, and its derivatives.
func (c composite) evaluate(spans []span, logp, entropy, dLogp, dEntropy []float64, saw *seen) float64 {
	loss := 0.0
	for _, s := range spans {
		if s.forbidden {
			value, slope := unlikelihood(logp[s.from:s.to])
			saw.unlikelihood += value
			loss += c.constraint * value / float64(c.forbidden)
			for i := s.from; i < s.to; i++ {
				dLogp[i] = c.constraint * slope / float64(c.forbidden)
			}
			continue
		}
		n := float64(c.learned)
		for i := s.from; i < s.to; i++ {
			saw.logp += logp[i]
			saw.entropy += entropy[i]
			loss -= (logp[i] + c.diversity*entropy[i]) / n
			dLogp[i], dEntropy[i] = -1/n, -c.diversity/n
		}
	}
	return loss
}

// unlikelihood is -log(1 - P) of a completion with these log-probabilities, and its derivative in each of them: P / (1 - P).
func unlikelihood(logp []float64) (value, slope float64) {
	sum := 0.0
	for _, v := range logp {
		sum += v
	}
	sum = min(sum, -leastDoubt)
	rest := -math.Expm1(sum)
	return -math.Log(rest), math.Exp(sum) / rest
}
