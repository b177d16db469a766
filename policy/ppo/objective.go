package ppo

import "math"

// objective is the loss of one batch as plain arithmetic in float64: what the operator of [Loss] computes.
type objective struct {
	kind          LossKind
	bounds        clipBounds
	valueClip     float64
	valueCoef     float64
	entropyCoef   float64
	imitationCoef float64
	penalty       KLPenalty
	beta          float64
	// sequences divides by the number of sequences and not of tokens.
	sequences bool
	// valueOnly leaves nothing but the value's loss.
	valueOnly bool
}

// newObjective takes the parts of c that the loss needs and the coefficient beta of the KL penalty.
func newObjective(c Config, beta float64) objective {
	return objective{
		kind:          c.Loss,
		bounds:        clipBounds{low: c.ClipLow, high: c.ClipHigh, dual: c.DualClip},
		valueClip:     c.ValueClip,
		valueCoef:     c.ValueCoef,
		entropyCoef:   c.EntropyCoef,
		imitationCoef: c.ImitationCoef,
		penalty:       c.KLPenalty,
		beta:          beta,
		sequences:     c.Aggregation == AggregateSequenceMean || c.Aggregation == AggregateSequenceSum,
	}
}

// outputs is what the graph says of each row: the log-probability of the row's token, the entropy of the distribution it came
// from, and the value of the state before it. Each slice is at least [N].
type outputs struct{ logp, entropy, value []float64 }

// slopes is the derivative of the loss in each output, for each row.
type slopes struct{ logp, entropy, value []float64 }

// evaluate is the loss of the rows, divided by the totals of the minibatch they are part of:
//
//	L = 1/Total * sum over samples weight_t * [ importance_t*policy_t + valueCoef*value_t - entropyCoef*H_t + kl_t ]
//	  + imitationCoef/Imitations * sum over imitations [ -logp_t ]
//
// with Total the tokens or the sequences, and kl_t = beta times an estimator of the divergence of the new policy from the reference, or
// nothing where the reward is charged instead. It writes the derivatives of every row, 0 for those that take no part and for those
// beyond len(rows.Kind), and adds to the tally.
func (o objective) evaluate(rows Rows, totals Totals, out outputs, d slopes, tally *tally) float64 {
	clear(d.logp)
	clear(d.entropy)
	clear(d.value)
	total := float64(totals.Samples)
	if o.sequences {
		total = float64(totals.Sequences)
	}
	var means []sequenceMean
	if o.kind == LossGSPO {
		means = sequenceMeans(rows, out.logp)
	}
	sampled, imitated := 0.0, 0.0
	for i, kind := range rows.Kind {
		switch kind {
		case KindNone:
		case KindSample:
			x := token{delta: out.logp[i] - rows.LogpOld[i], advantage: rows.Advantages[i]}
			if means != nil {
				x = token(means[i])
			}
			loss, s := o.sample(rows, i, x, out, tally)
			w := rows.weight(i)
			sampled += w * loss
			d.logp[i], d.entropy[i], d.value[i] = w*s.logp/total, w*s.entropy/total, w*s.value/total
		case KindImitation:
			if o.valueOnly {
				continue
			}
			logp := out.logp[i]
			imitated -= logp
			tally.imitation.add(-logp)
			d.logp[i] = -o.imitationCoef / float64(totals.Imitations)
		}
	}
	loss := 0.0
	if totals.Samples > 0 {
		loss += sampled / total
	}
	if totals.Imitations > 0 {
		loss += o.imitationCoef * imitated / float64(totals.Imitations)
	}
	return loss
}

// token is what the policy's loss of a token is made of: the log of its ratio, and its advantage.
type token struct{ delta, advantage float64 }

// sequenceMean is a token of which both are the means over its sequence.
type sequenceMean token

// sequenceMeans are those of every sampled row.
func sequenceMeans(rows Rows, logp []float64) []sequenceMean {
	out := make([]sequenceMean, len(rows.Kind))
	for from := 0; from < len(out); {
		to, n := from, 0.0
		var sum token
		for ; to < len(out) && rows.sequence(to) == rows.sequence(from); to++ {
			if rows.Kind[to] == KindSample {
				sum.delta += logp[to] - rows.LogpOld[to]
				sum.advantage += rows.Advantages[to]
				n++
			}
		}
		for i := from; i < to && n > 0; i++ {
			out[i] = sequenceMean{delta: sum.delta / n, advantage: sum.advantage / n}
		}
		from = to
	}
	return out
}

// slope is the derivative of one row's loss in its three outputs.
type slope struct{ logp, entropy, value float64 }

// sample is the loss of one sampled token and its derivatives, before the division by the number of tokens.
func (o objective) sample(rows Rows, i int, x token, out outputs, tally *tally) (float64, slope) {
	logp, entropy, value := out.logp[i], out.entropy[i], out.value[i]

	var policy, dPolicy float64
	var side clipSide
	if o.kind == LossCISPO {
		policy, dPolicy, side = cispoTerm(logp, x.delta, x.advantage, o.bounds)
	} else {
		policy, dPolicy, side = policyTerm(x.delta, x.advantage, o.bounds)
	}
	importance := rows.importance(i)
	policy, dPolicy = importance*policy, importance*dPolicy
	critic, dCritic, held := valueTerm(value, rows.ValuesOld[i], rows.Returns[i], o.valueClip)
	penalty, dPenalty := o.klTerm(logp, rows.LogpRef[i])

	tally.policy.add(policy)
	tally.value.add(critic)
	tally.entropy.add(entropy)
	tally.oldK1.add(K1(rows.LogpOld[i], logp))
	tally.oldK2.add(K2(rows.LogpOld[i], logp))
	tally.oldK3.add(K3(rows.LogpOld[i], logp))
	tally.refK1.add(K1(logp, rows.LogpRef[i]))
	tally.refK2.add(K2(logp, rows.LogpRef[i]))
	tally.refK3.add(K3(logp, rows.LogpRef[i]))
	tally.countClip(side, held)
	tally.ratio(math.Exp(clampLogRatio(x.delta)))

	if o.valueOnly {
		return o.valueCoef * critic, slope{value: o.valueCoef * dCritic}
	}
	loss := policy + o.valueCoef*critic - o.entropyCoef*entropy + penalty
	return loss, slope{logp: dPolicy + dPenalty, entropy: -o.entropyCoef, value: o.valueCoef * dCritic}
}

// klTerm is beta times the chosen estimator of the divergence from the reference and its derivative in logp, with d = logp - logpRef:
//
//	loss_k2            d^2/2                    d
//	loss_k3            exp(-d) - 1 + d          1 - exp(-d), 1 where the clamp holds
//	loss_k1_straight   d                        d, k2's
//	loss_k3_straight   exp(-d) - 1 + d          d, k2's
func (o objective) klTerm(logp, logpRef float64) (loss, slope float64) {
	if o.beta == 0 {
		return 0, 0
	}
	d := logp - logpRef
	switch o.penalty {
	case KLInLossK2:
		return o.beta * K2(logp, logpRef), o.beta * d
	case KLInLossK3:
		slope = 1
		if clampLogRatio(d) == d {
			slope -= math.Exp(-d)
		}
		return o.beta * K3(logp, logpRef), o.beta * slope
	case KLInLossK1Straight:
		return o.beta * K1(logp, logpRef), o.beta * d
	case KLInLossK3Straight:
		return o.beta * K3(logp, logpRef), o.beta * d
	case KLInReward:
	}
	return 0, 0
}
