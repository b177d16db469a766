package decode

import (
	"cmp"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

// sampler draws tokens. It holds buffers, so it serves one goroutine.
type sampler struct {
	set *kernel.Set
	// prob is [V]: the probabilities up to a common factor, the largest being 1. What underflows is below 1e-38.
	prob []float32
	// order is [V]: ids, for TopK and TopP.
	order []hone.TokenID
}

func newSampler(set *kernel.Set, vocab int) *sampler {
	return &sampler{set: set, prob: make([]float32, vocab), order: make([]hone.TokenID, vocab)}
}

// draw gives the token that the uniform number u in [0, 1) picks from logits [V], and the natural log of its probability as
// Result.Logp defines it. ok is false where the logits are not finite. It overwrites the logits.
func (s *sampler) draw(logits []float32, how Sampling, u float64) (id hone.TokenID, logp float32, ok bool) {
	logSum, ok := s.distribute(logits, how.Temperature)
	switch {
	case !ok:
		return 0, 0, false
	case how.Temperature == 0:
		id = argmax(logits)
	case how.TopK > 0 && how.TopK < len(logits) || how.TopP > 0 && how.TopP < 1:
		id = s.pickFiltered(how, u)
	default:
		id = s.pick(u)
	}
	return id, logits[id] - logSum, true
}

// alternatives appends the k most probable tokens but for id, or all of them if there are fewer. logits are as draw left them, and logp
// is what it gave for id.
func (s *sampler) alternatives(to []Alternative, logits []float32, id hone.TokenID, logp float32, k int) []Alternative {
	logSum := logits[id] - logp
	first, k := len(to), min(k, len(logits)-1)
	for i, z := range logits {
		if hone.TokenID(i) == id || len(to)-first == k && z-logSum <= to[len(to)-1].Logp {
			continue
		}
		if len(to)-first < k {
			to = append(to, Alternative{})
		}
		at := len(to) - 1
		for ; at > first && to[at-1].Logp < z-logSum; at-- {
			to[at] = to[at-1]
		}
		to[at] = Alternative{Token: hone.TokenID(i), Logp: z - logSum}
	}
	return to
}

// score is the natural log of the probability of a given token at temperature, 0 meaning 1. It overwrites the logits.
func (s *sampler) score(logits []float32, id hone.TokenID, temperature float64) (logp float32, ok bool) {
	logSum, ok := s.distribute(logits, temperature)
	return logits[id] - logSum, ok
}

// distribute divides the logits by the temperature, 0 meaning 1, fills prob, and gives the log of the softmax's denominator. It
// takes the steps of the training operator, so that the numbers are the same. ok is false where a logit is NaN or +Inf or
// all are -Inf.
func (s *sampler) distribute(logits []float32, temperature float64) (logSum float32, ok bool) {
	if temperature != 0 {
		s.set.Scale(float32(1/temperature), logits)
	}
	logSum = s.set.Distribute(logits, s.prob).LogSum
	return logSum, !math.IsNaN(float64(logSum)) && !math.IsInf(float64(logSum), 0)
}

// pick walks the ids until the running sum passes u * total. Rounding can leave the walk short of total; then the last id with
// any probability is it.
func (s *sampler) pick(u float64) hone.TokenID {
	target, sum, last := u*float64(s.set.Sum(s.prob)), 0.0, 0
	for i, p := range s.prob {
		if p == 0 {
			continue
		}
		sum += float64(p)
		last = i
		if sum > target {
			break
		}
	}
	return hone.TokenID(last)
}

// pickFiltered is pick over what TopK and TopP keep. It walks in the order of ids too, so a filter that keeps everything
// changes no token.
func (s *sampler) pickFiltered(how Sampling, u float64) hone.TokenID {
	kept, total := s.filter(how)
	slices.Sort(kept)
	target, sum := u*total, 0.0
	for _, id := range kept {
		sum += float64(s.prob[id])
		if sum > target {
			return id
		}
	}
	return kept[len(kept)-1]
}

// filter gives the ids that TopK and then TopP keep, the most probable first, and the sum of their entries in prob. Ids whose
// probability underflowed to 0 are kept only if they are all that TopK leaves.
func (s *sampler) filter(how Sampling) (kept []hone.TokenID, total float64) {
	for i := range s.order {
		s.order[i] = hone.TokenID(i)
	}
	slices.SortFunc(s.order, func(a, b hone.TokenID) int {
		return cmp.Or(cmp.Compare(s.prob[b], s.prob[a]), cmp.Compare(a, b))
	})
	kept = s.order
	if how.TopK > 0 {
		kept = kept[:min(how.TopK, len(kept))]
	}
	for i, id := range kept {
		if s.prob[id] == 0 {
			kept = kept[:i]
			break
		}
		total += float64(s.prob[id])
	}
	if how.TopP == 0 || how.TopP == 1 {
		return kept, total
	}
	target, sum := how.TopP*total, 0.0
	for i, id := range kept {
		sum += float64(s.prob[id])
		if sum >= target {
			return kept[:i+1], sum
		}
	}
	return kept, total
}

// argmax is the lowest id of the largest logit.
func argmax(logits []float32) hone.TokenID {
	best := 0
	for i, z := range logits {
		if z > logits[best] {
			best = i
		}
	}
	return hone.TokenID(best)
}
