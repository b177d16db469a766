package op_test

import (
	"slices"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestValue(t *testing.T) {
	t.Parallel()
	x, w, b := poison(normal(rng("x"), capacity, 6)), normal(rng("w"), 6), normal(rng("b"), 1)
	c := build(t, []*tensor.Dense{x, w, b}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Value(p, in[0], in[1], in[2], false)
	})
	c.checkGradients()
	var want []float64
	for i := range 19 {
		sum := float64(b.Float32s()[0])
		for j := range 6 {
			sum += at(x, i, j) * float64(w.Float32s()[j])
		}
		want = append(want, sum)
	}
	near(t, want, c.result())
	require.Equal(t, make([]float32, capacity-19), c.result()[19:])
}

func TestDetachedValueGivesItsInputNoGradient(t *testing.T) {
	t.Parallel()
	x, w, b := normal(rng("x"), capacity, 6), normal(rng("w"), 6), normal(rng("b"), 1)
	slopes := func(detached bool) [][]float32 {
		c := build(t, []*tensor.Dense{x, w, b}, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return op.Value(p, in[0], in[1], in[2], detached)
		})
		c.run()
		return [][]float32{slices.Clone(c.grad(0)), slices.Clone(c.grad(1)), slices.Clone(c.grad(2))}
	}
	free, cut := slopes(false), slopes(true)
	require.NotEqual(t, make([]float32, capacity*6), free[0])
	require.Equal(t, make([]float32, capacity*6), cut[0])
	require.Equal(t, free[1:], cut[1:], "the head itself learns the same")
}
