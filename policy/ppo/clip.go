package ppo

import "math"

// clipBounds are the parts of Config that bound the policy's loss of one token.
type clipBounds struct{ low, high, dual float64 }

// clipSide says which bound, if any, decided a token's loss.
type clipSide uint8

const (
	clipNone clipSide = iota
	clipLow
	clipHigh
	clipDual
)

// policyTerm is one token's policy loss, its derivative in the new log-probability, and the bound that decided it.
//
//	rho  = exp(clamp(logp - logpOld, -20, 20))
//	loss = max(-A*rho, -A*clip(rho, 1-low, 1+high))
//	loss = min(loss, -A*dual)                          where A < 0 and the dual clip is on
//
// Schulman et al. 2017, arXiv:1707.06347, eq. 7, with unequal bounds (arXiv:2503.14476) and the dual clip
// (arXiv:1912.09729). A bound counts as deciding only where it makes the loss strictly differ, and then the derivative is
// 0. It is 0 as well where the clamp holds.
func policyTerm(delta, advantage float64, b clipBounds) (loss, slope float64, side clipSide) {
	clamped := clampLogRatio(delta)
	rho := math.Exp(clamped)
	loss = -advantage * rho
	slope = loss
	if clamped != delta {
		slope = 0
	}
	switch bounded := -advantage * max(1-b.low, min(1+b.high, rho)); {
	case bounded <= loss:
	case rho < 1:
		loss, slope, side = bounded, 0, clipLow
	default:
		loss, slope, side = bounded, 0, clipHigh
	}
	if b.dual > 0 && advantage < 0 && loss > -advantage*b.dual {
		loss, slope, side = -advantage*b.dual, 0, clipDual
	}
	return loss, slope, side
}

// cispoTerm is one token's policy loss with a bounded weight, its derivative in the new log-probability, and the bound that decided the
// weight, which is held fixed in the derivative.
//
//	loss = -w * A * logp,   w = clip(exp(clamp(logp - logpOld, -20, 20)), 1-low, 1+high)
//
// Chen et al. 2025, arXiv:2506.13585, eq. 4 and 5.
func cispoTerm(logp, delta, advantage float64, b clipBounds) (loss, slope float64, side clipSide) {
	w := math.Exp(clampLogRatio(delta))
	switch {
	case w < 1-b.low:
		w, side = 1-b.low, clipLow
	case w > 1+b.high:
		w, side = 1+b.high, clipHigh
	}
	return -w * advantage * logp, -w * advantage, side
}

// valueTerm is one token's value loss, its derivative in the new value, and whether the clip decided it.
//
//	loss = max((v - R)^2, (clip(v, vOld-c, vOld+c) - R)^2) / 2
//
// With c = 0 there is no clip. Schulman et al.'s released code and arXiv:1909.08593 use this form; vOld stays what the sampling
// policy said through all epochs.
func valueTerm(value, valueOld, target, c float64) (loss, slope float64, clipped bool) {
	free := value - target
	loss, slope = free*free/2, free
	if c == 0 {
		return loss, slope, false
	}
	held := max(valueOld-c, min(valueOld+c, value)) - target
	if held*held/2 > loss {
		return held * held / 2, 0, true
	}
	return loss, slope, false
}
