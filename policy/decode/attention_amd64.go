package decode

import (
	"golang.org/x/sys/cpu"

	"github.com/hone-rl/hone/policy/kernel"
)

// scoresAVX2 writes scores[t] = scale * (query . keys[t]) for t < n. keys is [n, width]; width is a multiple of 8. The order of
// the additions depends on width alone.
//
//go:noescape
func scoresAVX2(scores, query, keys *float32, n, width int, scale float32)

// mixAVX2 adds the sum over t < n of weights[t] * values[t] to out, in the order of t. values is [n, width]; width is a
// multiple of 8.
//
//go:noescape
func mixAVX2(out, weights, values *float32, n, width int)

// fastAttention gives the functions in assembly, unless the set is to do without. Other sets use AVX2 themselves, as their
// fingerprints say.
func fastAttention(set *kernel.Set, width int) (attention, bool) {
	if set.Name() == kernel.NamePortable || !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || width%8 != 0 {
		return attention{}, false
	}
	return attention{
		scores: func(scores, query, keys []float32, scale float32) {
			n := len(scores)
			_ = keys[n*len(query)-1]
			scoresAVX2(&scores[0], &query[0], &keys[0], n, len(query), scale)
		},
		mix: func(out, weights, values []float32) {
			n := len(weights)
			_ = values[n*len(out)-1]
			mixAVX2(&out[0], &weights[0], &values[0], n, len(out))
		},
	}, true
}
