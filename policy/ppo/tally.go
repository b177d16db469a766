package ppo

import (
	"math"

	"github.com/hone-rl/hone/policy"
)

// mean is a running mean over tokens.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(x float64) { m.sum, m.n = m.sum+x, m.n+1 }

func (m *mean) merge(other mean) { m.sum, m.n = m.sum+other.sum, m.n+other.n }

// value is the mean, 0 of nothing.
func (m mean) value() float64 {
	if m.n == 0 {
		return 0
	}
	return m.sum / float64(m.n)
}

// tally gathers what the loss saw of the rows that took part. It is filled in the order of rows, so its sums repeat bit for bit.
type tally struct {
	policy, value, entropy, imitation mean
	oldK1, oldK2, oldK3               mean
	refK1, refK2, refK3               mean
	low, high, dual, held             int
	ratioMin, ratioMax                float64
	ratioSum, ratioSquares            float64
	usage                             policy.Usage
}

// newTally is an empty tally.
func newTally() *tally { return &tally{ratioMin: math.Inf(1), ratioMax: math.Inf(-1)} }

// countClip counts the bound that decided a token's policy loss, and whether the clip decided its value loss.
func (t *tally) countClip(side clipSide, held bool) {
	switch side {
	case clipNone:
	case clipLow:
		t.low++
	case clipHigh:
		t.high++
	case clipDual:
		t.dual++
	}
	if held {
		t.held++
	}
}

// ratio takes one probability ratio into the extremes and the effective sample size.
func (t *tally) ratio(rho float64) {
	t.ratioMin, t.ratioMax = min(t.ratioMin, rho), max(t.ratioMax, rho)
	t.ratioSum += rho
	t.ratioSquares += rho * rho
}

// merge adds what other saw.
func (t *tally) merge(other *tally) {
	t.policy.merge(other.policy)
	t.value.merge(other.value)
	t.entropy.merge(other.entropy)
	t.imitation.merge(other.imitation)
	t.oldK1.merge(other.oldK1)
	t.oldK2.merge(other.oldK2)
	t.oldK3.merge(other.oldK3)
	t.refK1.merge(other.refK1)
	t.refK2.merge(other.refK2)
	t.refK3.merge(other.refK3)
	t.low += other.low
	t.high += other.high
	t.dual += other.dual
	t.held += other.held
	t.ratioMin, t.ratioMax = min(t.ratioMin, other.ratioMin), max(t.ratioMax, other.ratioMax)
	t.ratioSum += other.ratioSum
	t.ratioSquares += other.ratioSquares
	t.usage.Merge(other.usage)
}

// fraction is count over the sampled tokens seen, 0 of none.
func (t *tally) fraction(count int) float64 {
	if t.policy.n == 0 {
		return 0
	}
	return float64(count) / float64(t.policy.n)
}

// ratioDeviation is the largest |ratio - 1| seen, 0 of nothing.
func (t *tally) ratioDeviation() float64 {
	if t.policy.n == 0 {
		return 0
	}
	return max(t.ratioMax-1, 1-t.ratioMin)
}
