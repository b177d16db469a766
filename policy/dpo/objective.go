package dpo

import "github.com/hone-rl/hone/policy/logistic"

// objective is the loss of one pair as plain arithmetic in float64.
type objective struct {
	beta, smoothing, chosenCoef float64
	mean                        bool
}

func newObjective(c Config) objective {
	return objective{beta: c.Beta, smoothing: c.Smoothing, chosenCoef: c.ChosenCoef, mean: c.Length == LengthMean}
}

// side is one of the two ways on: the sums of its tokens' log-probabilities under the policy and under the reference, and their number.
type side struct {
	logp, logpRef float64
	tokens        int
}

// ratio is log(pi/ref), or that a token.
func (o objective) ratio(s side) float64 {
	if o.mean {
		return (s.logp - s.logpRef) / float64(s.tokens)
	}
	return s.logp - s.logpRef
}

// judged is what the objective says of a pair.
type judged struct {
	// loss is that of the preference, without the cross-entropy of what is chosen; imitation is that, a token.
	loss, imitation float64
	// margin is beta * (log(pi/ref) of chosen - log(pi/ref) of rejected): the implicit reward that the one has over the other.
	margin float64
	// dChosen and dRejected are the derivatives of the whole loss in the log-probability of each token of a side: all the same.
	dChosen, dRejected float64
}

// judge is the loss of a pair:
//
//	L = -(1-e) * log sigmoid(m) - e * log sigmoid(-m) + chosenCoef * (-1/T) * sum_t logp_t of chosen
//	m = beta * (log(pi/ref) of chosen - log(pi/ref) of rejected)
//
// Rafailov et al. 2023, arXiv:2305.18290, eq. 7, with smoothing e.
func (o objective) judge(chosen, rejected side) judged {
	m := o.beta * (o.ratio(chosen) - o.ratio(rejected))
	j := judged{margin: m, imitation: -chosen.logp / float64(chosen.tokens)}
	j.loss = (1-o.smoothing)*logistic.Softplus(-m) + o.smoothing*logistic.Softplus(m)
	slope := o.beta * (o.smoothing*logistic.Sigmoid(m) - (1-o.smoothing)*logistic.Sigmoid(-m))
	j.dChosen, j.dRejected = slope, -slope
	if o.mean {
		j.dChosen /= float64(chosen.tokens)
		j.dRejected /= float64(rejected.tokens)
	}
	j.dChosen -= o.chosenCoef / float64(chosen.tokens)
	return j
}
