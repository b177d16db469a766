package ppo

import "math"

// objective is the loss of one batch as plain arithmetic in float64: what the operator of [Loss] computes.
type objective struct {
	bounds        clipBounds
	valueClip     float64
	valueCoef     float64
	entropyCoef   float64
	imitationCoef float64
	penalty       KLPenalty
	beta          float64
}

// newObjective takes the parts of c that the loss needs and the coefficient beta of the KL penalty.
func newObjective(c Config, beta float64) objective {
	return objective{
		bounds:        clipBounds{low: c.ClipLow, high: c.ClipHigh, dual: c.DualClip},
		valueClip:     c.ValueClip,
		valueCoef:     c.ValueCoef,
		entropyCoef:   c.EntropyCoef,
		imitationCoef: c.ImitationCoef,
		penalty:       c.KLPenalty,
		beta:          beta,
	}
}

// outputs is what the graph says of each row: the log-probability of the row's token, the entropy of the distribution it came
// from, and the value of the state before it. Each slice is at least [N].
type outputs struct{ logp, entropy, value []float64 }

// slopes is the derivative of the loss in each output, for each row.
type slopes struct{ logp, entropy, value []float64 }

// evaluate is the loss of the rows, divided by the totals of the minibatch they are part of:
//
//	L = 1/Samples * sum over samples [ policy_t + valueCoef*value_t - entropyCoef*H_t + kl_t ]
//	  + imitationCoef/Imitations * sum over imitations [ -logp_t ]
//
// with kl_t = beta*k2 or beta*k3 of the new policy to the reference, or nothing where the reward is charged instead. It writes
// the derivatives of every row, 0 for those that take no part and for those beyond len(rows.Kind), and adds to the tally.
func (o objective) evaluate(rows Rows, totals Totals, out outputs, d slopes, tally *tally) float64 {
	clear(d.logp)
	clear(d.entropy)
	clear(d.value)
	sampled, imitated := 0.0, 0.0
	for i, kind := range rows.Kind {
		switch kind {
		case KindNone:
		case KindSample:
			loss, s := o.sample(rows, i, out, tally)
			n := float64(totals.Samples)
			sampled += loss
			d.logp[i], d.entropy[i], d.value[i] = s.logp/n, s.entropy/n, s.value/n
		case KindImitation:
			logp := out.logp[i]
			imitated -= logp
			tally.imitation.add(-logp)
			d.logp[i] = -o.imitationCoef / float64(totals.Imitations)
		}
	}
	loss := 0.0
	if totals.Samples > 0 {
		loss += sampled / float64(totals.Samples)
	}
	if totals.Imitations > 0 {
		loss += o.imitationCoef * imitated / float64(totals.Imitations)
	}
	return loss
}

// slope is the derivative of one row's loss in its three outputs.
type slope struct{ logp, entropy, value float64 }

// sample is the loss of one sampled token and its derivatives, before the division by the number of tokens.
func (o objective) sample(rows Rows, i int, out outputs, tally *tally) (float64, slope) {
	logp, entropy, value := out.logp[i], out.entropy[i], out.value[i]
	delta := logp - rows.LogpOld[i]

	policy, dPolicy, side := policyTerm(delta, rows.Advantages[i], o.bounds)
	critic, dCritic, held := valueTerm(value, rows.ValuesOld[i], rows.Returns[i], o.valueClip)
	penalty, dPenalty := o.klTerm(logp, rows.LogpRef[i])

	tally.policy.add(policy)
	tally.value.add(critic)
	tally.entropy.add(entropy)
	tally.oldK1.add(K1(rows.LogpOld[i], logp))
	tally.oldK3.add(K3(rows.LogpOld[i], logp))
	tally.refK1.add(K1(logp, rows.LogpRef[i]))
	tally.refK3.add(K3(logp, rows.LogpRef[i]))
	tally.countClip(side, held)
	tally.ratio(math.Exp(clampLogRatio(delta)))

	loss := policy + o.valueCoef*critic - o.entropyCoef*entropy + penalty
	return loss, slope{logp: dPolicy + dPenalty, entropy: -o.entropyCoef, value: o.valueCoef * dCritic}
}

// klTerm is beta times the chosen estimator of the divergence from the reference and its derivative in logp. For k2 that is
// beta*d, for k3 beta*(1 - exp(-d)), with d = logp - logpRef and 0 for the exponential's part where the clamp holds.
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
	case KLInReward:
	}
	return 0, 0
}
