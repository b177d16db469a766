package kernel_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/kernel"
)

// BenchmarkLinear multiplies a few rows with weights that no cache holds, as sampling with a large policy does: a step of all of them.
func BenchmarkLinear(b *testing.B) {
	const in, out, count = 768, 4096, 24
	s, err := kernel.Open()
	require.NoError(b, err)
	rows := normal(rng("w"), in*out)
	weights := map[string][]*kernel.Weight{}
	for range count {
		weights["float32"] = append(weights["float32"], s.NewWeight(rows, in))
		weights["bf16"] = append(weights["bf16"], s.NewBFloat16Weight(rows, in))
	}
	for _, name := range []string{"float32", "bf16"} {
		for _, m := range []int{1, 4, 16, 64} {
			x, y := normal(rng("x"), m*in), make([]float32, m*out)
			packed := make([]float32, s.PackedLen(weights[name][0], m))
			b.Run(fmt.Sprintf("%s/rows=%d", name, m), func(b *testing.B) {
				for b.Loop() {
					for _, w := range weights[name] {
						s.PackRows(w, packed, x, m, 0, m)
						s.Parallel(out/kernel.WeightGrain, out/kernel.WeightGrain/4/runtime.GOMAXPROCS(0), func(lo, hi int) {
							s.LinearPacked(w, lo*kernel.WeightGrain, hi*kernel.WeightGrain, y, out, packed, m, false)
						})
					}
				}
				size := 4.0
				if name == "bf16" {
					size = 2
				}
				each := float64(b.N) * in * out * count / b.Elapsed().Seconds() / 1e9
				b.ReportMetric(size*each, "GB/s")
				b.ReportMetric(2*float64(m)*each, "GFLOPS")
			})
		}
	}
}
