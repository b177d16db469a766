package kernel_test

import (
	"fmt"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
)

// BenchmarkMatMul has the products of one training step of the 1M preset on 4,000 tokens: forward, for the input's gradient, and for the
// weight's.
func BenchmarkMatMul(b *testing.B) {
	const tokens = 4000
	for name, s := range sets(b) {
		for _, shape := range [][2]int{{128, 256}, {128, 128}, {128, 688}, {344, 128}, {128, 280}} {
			in, out := shape[0], shape[1]
			x, y, w := normal(rng("x"), tokens*in), normal(rng("y"), tokens*out), normal(rng("w"), in*out)
			forward := kernel.Product{TransB: true, M: tokens, N: out, K: in, Alpha: 1, LDA: in, LDB: in, LDC: out}
			input := kernel.Product{M: tokens, N: in, K: out, Alpha: 1, LDA: out, LDB: in, LDC: in}
			weight := kernel.Product{TransA: true, M: out, N: in, K: tokens, Alpha: 1, LDA: out, LDB: in, LDC: in}
			run := func(kind string, p kernel.Product, a, bb, c []float32) {
				b.Run(fmt.Sprintf("%s/in=%d/out=%d/%s", name, in, out, kind), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						s.MatMul(p, a, bb, c)
					}
					b.ReportMetric(2*float64(p.M)*float64(p.N)*float64(p.K)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
				})
			}
			run("forward", forward, x, w, y)
			run("input", input, y, w, x)
			run("weight", weight, y, x, w)
		}
	}
}
