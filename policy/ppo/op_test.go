package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/op"
)

// graph is a loss over three input nodes, with the gradient of each.
type graph struct {
	loss                 *Loss
	logp, entropy, value *gorgonia.Node
	cost                 *gorgonia.Node
	grads                gorgonia.Nodes
	vm                   gorgonia.VM
}

func newGraph(t *testing.T, loss *Loss, n int) *graph {
	t.Helper()
	g := gorgonia.NewGraph()
	input := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(n), gorgonia.WithName(name))
	}
	gr := &graph{loss: loss, logp: input("logp"), entropy: input("entropy"), value: input("value")}
	var err error
	gr.cost, err = loss.build(n, gr.logp, gr.entropy, gr.value)
	require.NoError(t, err)
	gr.grads, err = op.Grad(gr.cost, gr.logp, gr.entropy, gr.value)
	require.NoError(t, err)
	gr.vm = gorgonia.NewTapeMachine(g)
	t.Cleanup(func() { require.NoError(t, gr.vm.Close()) })
	return gr
}

// run gives the loss and the gradients in the three inputs.
func (gr *graph) run(t *testing.T, out outputs) (float32, [][]float32) {
	t.Helper()
	for node, column := range map[*gorgonia.Node][]float64{gr.logp: out.logp, gr.entropy: out.entropy, gr.value: out.value} {
		narrow := make([]float32, len(column))
		for i, v := range column {
			narrow[i] = float32(v)
		}
		require.NoError(t, gorgonia.Let(node, tensor.New(tensor.WithBacking(narrow), tensor.WithShape(len(narrow)))))
	}
	gr.vm.Reset()
	require.NoError(t, gr.vm.RunAll())
	grads := make([][]float32, 3)
	for i, node := range gr.grads {
		grads[i] = append(grads[i], node.Value().Data().([]float32)...)
	}
	return gr.cost.Value().Data().(float32), grads
}

// The graph carries float32, so its inputs and outputs are rounded to 2^-24 of values of about 1.
const float32Tolerance = 1e-6

func TestOperatorEqualsObjective(t *testing.T) {
	t.Parallel()
	const n, padding = 32, 8
	for name, cfg := range choices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := randomBatch(n, hone.Rand(5))
			b.dress(cfg, hone.Rand(6))
			for i, v := range b.out.logp {
				b.out.logp[i] = float64(float32(v))
			}
			loss := NewLoss(cfg, cfg.KLCoef)
			require.NoError(t, loss.Set(b.rows, b.totals))
			padded := outputs{
				logp: withNaNs(b.out.logp, padding), entropy: withNaNs(b.out.entropy, padding), value: withNaNs(b.out.value, padding),
			}
			gr := newGraph(t, loss, n+padding)
			for range 2 { // a graph is run again and again
				cost, grads := gr.run(t, padded)
				d := makeSlopes(n)
				want := newObjective(cfg, cfg.KLCoef).evaluate(b.rows, b.totals, b.out, d, newTally())
				require.InDelta(t, want, float64(cost), float32Tolerance)
				for k, slope := range [][]float64{d.logp, d.entropy, d.value} {
					for i := range n {
						require.InDelta(t, slope[i], float64(grads[k][i]), float32Tolerance)
					}
					require.Equal(t, make([]float32, padding), grads[k][n:])
				}
			}
		})
	}
}

func TestOperatorRefusesMoreRowsThanItsGraph(t *testing.T) {
	t.Parallel()
	loss := NewLoss(DefaultConfig(), 0)
	require.NoError(t, loss.Set(NewRows(5), Totals{}))
	gr := newGraph(t, loss, 4)
	for _, node := range []*gorgonia.Node{gr.logp, gr.entropy, gr.value} {
		require.NoError(t, gorgonia.Let(node, tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(4))))
	}
	require.ErrorContains(t, gr.vm.RunAll(), "5 rows for a graph of 4")
}

func TestLossSetRefusesBadRows(t *testing.T) {
	t.Parallel()
	loss := NewLoss(DefaultConfig(), 0)
	rows := NewRows(3)
	rows.Returns = rows.Returns[:2]
	require.ErrorIs(t, loss.Set(rows, Totals{}), hone.ErrInvalid)
	rows = NewRows(3)
	rows.Weight = []float64{1}
	require.ErrorIs(t, loss.Set(rows, Totals{}), hone.ErrInvalid)
	rows = NewRows(3)
	rows.Kind[1] = KindSample
	require.ErrorIs(t, loss.Set(rows, Totals{}), hone.ErrInvalid)
	require.NoError(t, loss.Set(rows, Totals{Samples: 1}))
}

// withNaNs is the column with n NaNs behind it.
func withNaNs(column []float64, n int) []float64 {
	out := append([]float64(nil), column...)
	for range n {
		out = append(out, math.NaN())
	}
	return out
}
