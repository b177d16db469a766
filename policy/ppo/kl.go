package ppo

import "math"

// The estimators of the divergence KL(p, q) = E_p[log p - log q] from one token that p sampled, in nats. Each takes the natural
// log of the token's probability under p and under q. J. Schulman, "Approximating KL Divergence", 2020, names them.

// K1 is log p - log q: unbiased, and negative for about half of the tokens. Its sum over a trajectory is what [Controller]
// observes and what the reward is charged with.
func K1(logpP, logpQ float64) float64 { return logpP - logpQ }

// K2 is (log p - log q)^2 / 2: never negative, of low variance, biased. Its gradient in log p is K1, which makes the expected
// gradient on p's own samples that of the divergence itself.
func K2(logpP, logpQ float64) float64 {
	d := logpP - logpQ
	return d * d / 2
}

// K3 is exp(-d) - 1 + d with d = log p - log q: never negative, unbiased. d is held within ±20 inside the exponential, so that
// one absurd token gives a large number and not an infinity.
func K3(logpP, logpQ float64) float64 {
	d := logpP - logpQ
	return math.Expm1(-clampLogRatio(d)) + d
}

// logRatioLimit bounds a difference of log-probabilities before it is exponentiated.
const logRatioLimit = 20

// clampLogRatio holds d within ±logRatioLimit.
func clampLogRatio(d float64) float64 { return max(-logRatioLimit, min(logRatioLimit, d)) }
