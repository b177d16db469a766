package ppo

import (
	"math"
	"slices"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// Block is the mean norm of the gradient over one part of the policy, of the steps taken, before clipping.
type Block struct {
	// Name is that of [policy.Tensor.Block].
	Name string
	// GradNorm is the 2-norm over the part's weights.
	GradNorm float64
}

// BlockMetrics are the blocks by the names of doc/metrics.md.
func (s *Stats) BlockMetrics() map[string]float64 {
	out := make(map[string]float64, len(s.Blocks))
	for _, b := range s.Blocks {
		out["grad_norm_"+b.Name] = b.GradNorm
	}
	return out
}

// part is the tensors of one block, which lie side by side in the policy.
type part struct {
	name     string
	from, to int
}

// parts are those of a policy, in the order of its tensors.
func parts(params *policy.Params) (out []part) {
	at := 0
	for _, t := range params.Tensors() {
		if name := t.Block(); len(out) == 0 || out[len(out)-1].name != name {
			out = append(out, part{name: name, from: at})
		}
		at += len(t.Data)
		out[len(out)-1].to = at
	}
	return out
}

// blockNorms are the norms of the gradients, part by part.
func blockNorms(set *kernel.Set, of []part, grads *policy.Params) []Block {
	out := make([]Block, len(of))
	for i, p := range of {
		out[i] = Block{Name: p.name, GradNorm: math.Sqrt(set.SquaredNorm(grads.Flat()[p.from:p.to]))}
	}
	return out
}

// addBlocks adds one step's norms.
func (s *Stats) addBlocks(blocks []Block) {
	if s.Blocks == nil {
		s.Blocks = blocks
		return
	}
	for i, b := range blocks {
		s.Blocks[i].GradNorm += b.GradNorm
	}
}

// finishNorms makes means of the sums over the steps taken.
func (s *Stats) finishNorms() {
	n := float64(max(s.Steps, 1))
	s.GradNorm /= n
	for i := range s.Blocks {
		s.Blocks[i].GradNorm /= n
	}
}

// quantiles fills in those of the advantages, by linear interpolation between order statistics.
func (s *Stats) quantiles(advantages []float64) {
	sorted := slices.Clone(advantages)
	slices.Sort(sorted)
	at := func(q float64) float64 {
		if len(sorted) == 0 {
			return 0
		}
		place := q * float64(len(sorted)-1)
		low := int(place)
		high := min(low+1, len(sorted)-1)
		return sorted[low] + (sorted[high]-sorted[low])*(place-float64(low))
	}
	s.AdvantageMin, s.AdvantageP05, s.AdvantageP25, s.AdvantageP50 = at(0), at(0.05), at(0.25), at(0.5)
	s.AdvantageP75, s.AdvantageP95, s.AdvantageMax = at(0.75), at(0.95), at(1)
}

// relativeChange is |after - before| / |before|, 0 where there was nothing before.
func relativeChange(set *kernel.Set, before, after []float32) float64 {
	size := set.SquaredNorm(before)
	if size == 0 {
		return 0
	}
	return math.Sqrt(set.SquaredDistance(after, before) / size)
}

// weighed is what is known of the weights for where samples came from.
type weighed struct {
	weight, k1, k3 mean
	squares        float64
	truncated      int
}

// add takes one sample's.
func (w *weighed) add(s *sample, truncated int) {
	for t, x := range s.importance {
		w.weight.add(x)
		w.squares += x * x
		w.k1.add(K1(s.logpSampler[t], s.logpOld[t]))
		w.k3.add(K3(s.logpSampler[t], s.logpOld[t]))
	}
	w.truncated += truncated
}
