package valuemodel

import (
	"math"

	"github.com/hone-rl/hone/policy/logistic"
)

// Calibration turns what the head says of a state, a logit z, into a probability: sigmoid(Scale*z + Offset). Platt 1999, "Probabilistic
// outputs for support vector machines", eq. 1, with the signs of a logit.
type Calibration struct {
	Scale  float64 `json:"scale"`
	Offset float64 `json:"offset"`
	// Likelihood weighs the log-probability that the policy gave a text that has ended: sigmoid(Scale*z + Likelihood*logp + Offset). A search
	// chooses among the ends of unlikely lines, and most of what makes a line false is unlikely to the policy itself. It is 0 for states.
	Likelihood float64 `json:"likelihood,omitempty"`
}

// plain takes a logit at its word.
func plain() Calibration { return Calibration{Scale: 1} }

// Prob is the probability; logp is looked at where Likelihood isn't 0.
func (c Calibration) Prob(z, logp float64) float64 {
	return logistic.Sigmoid(c.Scale*z + c.Likelihood*logp + c.Offset)
}

// said is what was said of a state beside the share of weight that came true.
type said struct{ logit, logp, target, weight float64 }

// The steps of Newton's method, the size of a step at which it has arrived, and the times that a step may be halved.
const (
	plattSteps  = 100
	plattClose  = 1e-10
	plattHalved = 40
)

// ridge keeps the weights of logits and likelihoods finite where they are all the same.
const ridge = 1e-6

// fitStates is the calibration of the greatest likelihood over states. Targets keep away from 0 and 1 by what Platt's section 2.2 has for
// them, so it is finite. With nothing to fit to, or where a greater logit would mean less, logits are taken at their word.
func fitStates(all []said) Calibration {
	c, ok := fit(all, false)
	if !ok || !(c.Scale > 0) {
		return plain()
	}
	return c
}

// fitEnds is the same over texts that ended, with their likelihood. Where it or the logit would count the wrong way round, it is that
// without the likelihood.
func fitEnds(all []said) Calibration {
	c, ok := fit(all, true)
	if !ok || !(c.Scale > 0) || !(c.Likelihood >= 0) {
		return fitStates(all)
	}
	return c
}

// fit is Newton's method with halved steps; ok is false where all was right or all was wrong.
func fit(all []said, likelihood bool) (c Calibration, ok bool) {
	right, wrong := 0.0, 0.0
	for _, s := range all {
		right += s.weight * s.target
		wrong += s.weight * (1 - s.target)
	}
	if right == 0 || wrong == 0 {
		return plain(), false
	}
	high, low := (right+1)/(right+2), 1/(wrong+2)
	loss := func(c Calibration) float64 {
		sum := ridge / 2 * ((c.Scale-1)*(c.Scale-1) + c.Likelihood*c.Likelihood)
		for _, s := range all {
			x, t := c.Scale*s.logit+c.Likelihood*s.logp+c.Offset, low+(high-low)*s.target
			sum += s.weight * (t*logistic.Softplus(-x) + (1-t)*logistic.Softplus(x))
		}
		return sum
	}
	at := plain()
	now := loss(at)
	for range plattSteps {
		g := [3]float64{ridge * (at.Scale - 1), 0, ridge * at.Likelihood}
		h := [3][3]float64{{ridge}, {}, {2: ridge}}
		for _, s := range all {
			p, t := at.Prob(s.logit, s.logp), low+(high-low)*s.target
			x := [3]float64{s.logit, 1, s.logp}
			for i := range x {
				g[i] += s.weight * (p - t) * x[i]
				for j := range x {
					h[i][j] += s.weight * p * (1 - p) * x[i] * x[j]
				}
			}
		}
		if !likelihood { // it stays at 0
			g[2], h[2] = 0, [3]float64{2: 1}
			h[0][2], h[1][2] = 0, 0
		}
		d := solve(h, g)
		size, halved := 1.0, 0
		step := func() Calibration {
			return Calibration{Scale: at.Scale - size*d[0], Offset: at.Offset - size*d[1], Likelihood: at.Likelihood - size*d[2]}
		}
		for ; !(loss(step()) <= now) && halved < plattHalved; halved++ {
			size /= 2
		}
		if halved == plattHalved || size*math.Hypot(d[0], math.Hypot(d[1], d[2])) < plattClose {
			break
		}
		at, now = step(), loss(step())
	}
	return at, true
}

// solve is the x of a x = b, by elimination with pivots; a is symmetric and positive.
func solve(a [3][3]float64, b [3]float64) (x [3]float64) {
	for i := range a {
		most := i
		for k := i + 1; k < len(a); k++ {
			if math.Abs(a[k][i]) > math.Abs(a[most][i]) {
				most = k
			}
		}
		a[i], a[most], b[i], b[most] = a[most], a[i], b[most], b[i]
		for k := i + 1; k < len(a); k++ {
			f := a[k][i] / a[i][i]
			for j := i; j < len(a); j++ {
				a[k][j] -= f * a[i][j]
			}
			b[k] -= f * b[i]
		}
	}
	for i := len(a) - 1; i >= 0; i-- {
		x[i] = b[i]
		for j := i + 1; j < len(a); j++ {
			x[i] -= a[i][j] * x[j]
		}
		x[i] /= a[i][i]
	}
	return x
}

// logit is the inverse of sigmoid, finite for what a float32 rounds to 0 or 1.
func logit(p float64) float64 {
	const least = 1e-8
	p = min(max(p, least), 1-least)
	return math.Log(p / (1 - p))
}
