package hone

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Seed derives a random stream's seed from names alone: the run's seed and then whatever tells this stream from every other
// (purpose, iteration, problem, sample). The parts are length-prefixed, so ("ab","c") and ("a","bc") differ.
func Seed(runSeed uint64, names ...any) uint64 {
	h := sha256.New()
	var buf [8]byte
	put := func(tag byte, v uint64) {
		binary.LittleEndian.PutUint64(buf[:], v)
		h.Write([]byte{tag})
		h.Write(buf[:])
	}
	put('u', runSeed)
	for _, n := range names {
		switch v := n.(type) {
		case int:
			put('i', uint64(v))
		case uint64:
			put('u', v)
		case string:
			put('s', uint64(len(v)))
			h.Write([]byte(v))
		default:
			panic("hone.Seed takes int, uint64 and string")
		}
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// Rand is a generator over a stream that [Seed] derived.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }
