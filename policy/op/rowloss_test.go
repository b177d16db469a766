package op_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hone-rl/hone/policy/op"
)

// A loss of two vectors that is no sum over rows: the gradient is what the function wrote down, rows beyond the batch get none, and a
// NaN in a row that the function leaves alone spoils nothing.
func TestRowLoss(t *testing.T) {
	t.Parallel()
	f := func(in, d [][]float64) float64 {
		x, y := in[0], in[1]
		z := x[0]*y[1] + x[18]
		d[0][0], d[0][18], d[1][1] = 2*z*y[1], 2*z, 2*z*x[0]
		return z * z
	}
	r := rng("row loss")
	values := []*tensor.Dense{poison(normal(r, capacity)), poison(normal(r, capacity))}
	values[1].Float32s()[5] = float32(math.NaN())
	lengths := make([]int, 2)
	c := build(t, values, sequences(5), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.RowLoss(p, func(in, d [][]float64) float64 {
			lengths[0], lengths[1] = len(in[0]), len(d[1])
			return f(in, d)
		}, in...)
	})
	c.weights.Data = []float32{3}
	cost := c.run()
	require.Equal(t, []int{19, 19}, lengths)
	x, y := values[0].Float32s(), values[1].Float32s()
	z := float64(x[0])*float64(y[1]) + float64(x[18])
	require.InDelta(t, 3*z*z, cost, forwardBound(t))
	for i, got := range c.grad(0) {
		want := map[int]float64{0: 6 * z * float64(y[1]), 18: 6 * z}[i]
		require.InDelta(t, want, got, 1e-5, "row %d", i)
	}
	for i, got := range c.grad(1) {
		want := map[int]float64{1: 6 * z * float64(x[0])}[i]
		require.InDelta(t, want, got, 1e-5, "row %d", i)
	}
}
