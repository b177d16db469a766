package decode

import (
	"golang.org/x/sys/cpu"

	"github.com/hone-rl/hone/policy/kernel"
)

// In all of these width is a multiple of 8. The order of the additions depends on positions and width alone: with one query or with
// two, a query's results have the same bits.

// scoresAVX2 does the first head of attention.scores.
//
//go:noescape
func scoresAVX2(s *sums, scores, query, keys *float32)

// scoresPairAVX2 does the first two heads.
//
//go:noescape
func scoresPairAVX2(s *sums, scores, queries, keys *float32)

// mixAVX2 does the first head of attention.mix, in the order of the positions.
//
//go:noescape
func mixAVX2(s *sums, out, weights, values *float32)

// mixPairAVX2 does the first two heads.
//
//go:noescape
func mixPairAVX2(s *sums, out, weights, values *float32)

// fastAttention gives the functions in assembly, unless the set is to do without. Other sets use AVX2 themselves, as their
// fingerprints say.
func fastAttention(set *kernel.Set, width int) (attention, bool) {
	if set.Name() == kernel.NamePortable || !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || width%8 != 0 {
		return attention{}, false
	}
	return attention{scores: fastScores, mix: fastMix}, true
}

func fastScores(s sums, scores, queries, keys []float32) {
	s.check(queries, scores, keys)
	h := 0
	for ; h+1 < s.heads; h += 2 {
		scoresPairAVX2(&s, &scores[h*s.stride], &queries[h*s.width], &keys[0])
	}
	if h < s.heads {
		scoresAVX2(&s, &scores[h*s.stride], &queries[h*s.width], &keys[0])
	}
}

func fastMix(s sums, out, weights, values []float32) {
	s.check(out, weights, values)
	h := 0
	for ; h+1 < s.heads; h += 2 {
		mixPairAVX2(&s, &out[h*s.width], &weights[h*s.stride], &values[0])
	}
	if h < s.heads {
		mixAVX2(&s, &out[h*s.width], &weights[h*s.stride], &values[0])
	}
}
