package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

// side is the size of the square product whose speed is the machine's peak: its operands, 16 MB each, are far more work than memory.
const side = 2048

// peak times C = A B' of [side, side] matrices on all processors, in GFLOPS.
func (b *bench) peak() error {
	x, y, z := make([]float32, side*side), make([]float32, side*side), make([]float32, side*side)
	for i := range x {
		x[i], y[i] = float32(i%13)-6, float32(i%7)-3
	}
	product := kernel.Product{TransB: true, M: side, N: side, K: side, Alpha: 1, LDA: side, LDB: side, LDC: side}
	err := b.timed(func() error {
		b.set.MatMul(product, x, y, z)
		return nil
	})
	b.result.Figures["gflops"] = 2 * side * side * side * float64(b.Steps) / b.result.Seconds / 1e9
	return err
}

// words is the length of the arrays that bandwidth goes through: half a gibibyte each, more than any cache.
const words = 1 << 26

// bandwidth times reading an array and the triad a = b + s*c of McCalpin's STREAM, in GB/s.
func (b *bench) bandwidth() error {
	x := make([]uint64, words)
	for i := range x {
		x[i] = uint64(i)
	}
	const piece = 1 << 16
	found := make([]uint64, words/piece)
	if err := b.timed(func() error {
		b.set.Parallel(words, piece, func(lo, hi int) { found[lo/piece] = mix(x[lo:hi]) })
		return nil
	}); err != nil {
		return err
	}
	b.result.Figures["read_gbs"] = 8 * words * float64(b.Steps) / b.result.Seconds / 1e9
	if found[0] == found[1] {
		return fmt.Errorf("unlike pieces of an array mix to the same %d: %w", found[0], hone.ErrInvalid)
	}
	to, from, more := make([]float64, words), make([]float64, words), make([]float64, words)
	for i := range from { // memory that was never written is no memory
		from[i], more[i] = float64(i), 1
	}
	if err := b.timed(func() error {
		b.set.Parallel(words, piece, func(lo, hi int) { triad(to[lo:hi], from[lo:hi], more[lo:hi]) })
		return nil
	}); err != nil {
		return err
	}
	b.result.Figures["triad_gbs"] = 3 * 8 * words * float64(b.Steps) / b.result.Seconds / 1e9
	return nil
}

// mix reads every word once, in sums that do not wait for each other.
func mix(x []uint64) uint64 {
	var a, b, c, d, e, f, g, h uint64
	for ; len(x) >= 8; x = x[8:] {
		a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
		e, f, g, h = e+x[4], f+x[5], g+x[6], h+x[7]
	}
	return a + b + c + d + e + f + g + h
}

func triad(a, b, c []float64) {
	b, c = b[:len(a)], c[:len(a)]
	for i := range a {
		a[i] = b[i] + 3*c[i]
	}
}

// peakMemory is the largest resident memory that this process has had, in bytes, as Linux keeps it.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM: %w", hone.ErrUnavailable)
}
