package mcts_test

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/mcts"
)

// free gives every state 64 actions without any work, so that what is measured is the search's own.
type free struct {
	actions []mcts.Action[int]
	out     []mcts.Evaluation[int]
	// deep makes a state's value that of the last action, everywhere the same, so that the search runs down long lines; otherwise
	// every evaluation draws its own.
	deep bool
	seed uint64
}

func newFree(width int, deep bool) *free {
	f := &free{deep: deep}
	for i := range width {
		f.actions = append(f.actions, mcts.Action[int]{Key: fmt.Sprint(i), Prior: float64(i%7) + 1, Next: i})
	}
	return f
}

func (f *free) Evaluate(_ context.Context, requests []mcts.Request[int]) ([]mcts.Evaluation[int], error) {
	f.out = f.out[:0]
	for _, r := range requests {
		f.seed = f.seed*6364136223846793005 + 1442695040888963407
		value := float64(f.seed>>40) / (1 << 24)
		if f.deep {
			value = float64(r.State*2654435761%1000) / 1000
		}
		f.out = append(f.out, mcts.Evaluation[int]{Value: value, Actions: f.actions})
	}
	return f.out, nil
}

// meanDepth is that of the evaluated nodes.
func meanDepth(tree *mcts.Tree[int]) float64 {
	sum, n := 0, 0
	for _, node := range tree.Nodes() {
		if node.Order >= 0 {
			sum += node.Depth
			n++
		}
	}
	return float64(sum) / float64(n)
}

// cpu is the seconds of processor time that the process has used: what else the machine does counts little, and the collector's
// work counts.
func cpu(b *testing.B) float64 {
	b.Helper()
	var use syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}

// BenchmarkRun grows trees of 10,000 evaluated nodes with 64 actions each: 640,001 nodes as [mcts.Tree.Len] counts them.
func BenchmarkRun(b *testing.B) {
	const simulations, width = 10_000, 64
	cases := []struct {
		name          string
		trees, leaves int
		deep          bool
		change        func(*mcts.Config)
	}{
		{name: "puct", trees: 1, leaves: 1},
		{name: "puct-deep", trees: 1, leaves: 1, deep: true},
		{name: "puct", trees: 8, leaves: 1},
		{name: "puct", trees: 1, leaves: 64},
		{name: "puct-tree", trees: 1, leaves: 1, change: func(c *mcts.Config) { c.Normalisation = mcts.NormaliseTree }},
		{name: "puct-share", trees: 1, leaves: 1, change: func(c *mcts.Config) { c.Share = true }},
		{name: "gumbel", trees: 1, leaves: 1, change: func(c *mcts.Config) { c.Selection, c.Gumbel.Scale = mcts.SelectGumbel, 0 }},
	}
	for _, c := range cases {
		b.Run(fmt.Sprintf("%s/trees=%d/leaves=%d", c.name, c.trees, c.leaves), func(b *testing.B) {
			cfg := configured(simulations)
			cfg.Leaves = c.leaves
			if c.change != nil {
				c.change(&cfg)
			}
			var tree *mcts.Tree[int]
			before := cpu(b)
			b.ReportAllocs()
			for b.Loop() {
				trees, err := mcts.Run(b.Context(), newFree(width, c.deep), make([]mcts.Root[int], c.trees), cfg)
				require.NoError(b, err)
				tree = trees[0]
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N*simulations*c.trees)/(cpu(b)-before), "sims/cpu-s")
			b.ReportMetric(meanDepth(tree), "depth")
		})
	}
}

// BenchmarkMemory measures what a tree of that size keeps, the evaluator's own slices not counted.
func BenchmarkMemory(b *testing.B) {
	const simulations = 10_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		trees, err := mcts.Run(b.Context(), newFree(64, false), make([]mcts.Root[int], 1), configured(simulations))
		require.NoError(b, err)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(trees[0].Len()), "B/node")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(simulations+1), "B/evaluated")
		runtime.KeepAlive(trees)
	}
}
