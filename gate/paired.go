package gate

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Pairs counts problems that two policies have answered, by who was right.
type Pairs struct {
	// Wins are those that the new policy alone has right, Losses those that the old one alone has.
	Wins   int `json:"wins"`
	Losses int `json:"losses"`
	// Both have right, Neither has.
	Both    int `json:"both"`
	Neither int `json:"neither"`
}

// Pair holds the answers of two policies to the same problems, in the same order, against each other: true is right. Lists of other
// lengths, or empty ones, are [hone.ErrInvalid].
func Pair(old, now []bool) (p Pairs, err error) {
	if len(old) != len(now) || len(old) == 0 {
		return p, fmt.Errorf("%d answers against %d: want as many, and some: %w", len(now), len(old), hone.ErrInvalid)
	}
	for i := range old {
		switch {
		case now[i] && old[i]:
			p.Both++
		case now[i]:
			p.Wins++
		case old[i]:
			p.Losses++
		default:
			p.Neither++
		}
	}
	return p, nil
}

// Problems is the number of all.
func (p Pairs) Problems() int { return p.Wins + p.Losses + p.Both + p.Neither }

// Gain is the new policy's accuracy less the old one's, in [-1, 1].
func (p Pairs) Gain() float64 {
	if p.Problems() == 0 {
		return 0
	}
	return float64(p.Wins-p.Losses) / float64(p.Problems())
}

// Test is the probability of so many wins or more if both policies were equally good: P(X >= Wins), X binomial over the problems on which
// they differ, with probability 1/2. It is 1 where they differ on none. McNemar 1947, doi:10.1007/BF02295996, in its exact form, to
// one side: that the new policy is worse is no reason to publish it.
func (p Pairs) Test() float64 {
	n := p.Wins + p.Losses
	sum := 0.0
	for k := n; k >= p.Wins; k-- { // from the smallest term up
		sum += math.Exp(logChoose(n, k) - float64(n)*math.Ln2)
	}
	return min(sum, 1)
}

func logChoose(n, k int) float64 {
	gamma := func(x int) float64 {
		v, _ := math.Lgamma(float64(x) + 1)
		return v
	}
	return gamma(n) - gamma(k) - gamma(n-k)
}
