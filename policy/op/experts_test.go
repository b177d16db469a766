package op_test

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// mixtureInputs are x, the norm's weight, the gate, the experts' two matrices and the shared ones' two. The rows of the gate are far
// apart, so that the steps of finite differences change no choice.
func mixtureInputs(m op.Mixture, shared bool) []*tensor.Dense {
	const width, hidden = 5, 3
	values := []*tensor.Dense{
		poison(normal(rng("x"), capacity, width)), normal(rng("g"), width), normal(rng("gate"), m.Experts, width),
		normal(rng("w13"), m.Experts*2*hidden, width), normal(rng("w2"), m.Experts*width, hidden),
	}
	if shared {
		values = append(values, normal(rng("s13"), 2*hidden, width), normal(rng("s2"), width, hidden))
	}
	return values
}

// mixture is a whole sublayer of experts in a block; routing receives what tells of its use.
func mixture(p *op.Pack, in gorgonia.Nodes, m op.Mixture, routing **op.Routing) (*gorgonia.Node, error) {
	return op.Block(p, in[0], func(x *gorgonia.Node) (y *gorgonia.Node, err error) {
		do := func(f func() (*gorgonia.Node, error)) (n *gorgonia.Node) {
			if err == nil {
				n, err = f()
			}
			return n
		}
		around := op.NewResidual(p, x)
		h := do(func() (*gorgonia.Node, error) { return around.Norm(in[1], 1e-3) })
		r, err := op.Route(p, h, in[2], m)
		if err != nil {
			return nil, err
		}
		*routing = r
		rows := do(r.Dispatch)
		rows = do(func() (*gorgonia.Node, error) { return r.Linear(rows, in[3]) })
		rows = do(func() (*gorgonia.Node, error) { return op.SwiGLU(p, rows) })
		rows = do(func() (*gorgonia.Node, error) { return r.Linear(rows, in[4]) })
		var sum *gorgonia.Node
		if len(in) > 5 {
			s := do(func() (*gorgonia.Node, error) { return r.Shared(in[5]) })
			s = do(func() (*gorgonia.Node, error) { return op.SwiGLU(p, s) })
			sum = do(func() (*gorgonia.Node, error) { return around.LinearAdd(s, in[6]) })
		}
		return do(func() (*gorgonia.Node, error) { return r.Combine(around, sum, rows) }), err
	})
}

// slowMixture is one token's result in float64 with every expert computed and those that aren't chosen left out of the sum.
func slowMixture(m op.Mixture, values []*tensor.Dense, i int) []float64 {
	matrix := func(v, first, rows int, x []float64) []float64 {
		y := make([]float64, rows)
		for o := range y {
			for k, f := range x {
				y[o] += at(values[v], first+o, k) * f
			}
		}
		return y
	}
	expert := func(in, out, e int, h []float64) []float64 {
		gateUp := matrix(in, e*6, 6, h)
		for j := range 3 {
			gateUp[j] *= gateUp[3+j] / (1 + math.Exp(-gateUp[j]))
		}
		return matrix(out, e*5, 5, gateUp[:3])
	}
	y, h, square := make([]float64, 5), make([]float64, 5), 1e-3
	for k := range h {
		y[k] = at(values[0], i, k)
		square += y[k] * y[k] / 5
	}
	for k := range h {
		h[k] = y[k] / math.Sqrt(square) * float64(values[1].Float32s()[k])
	}
	p, order, total := matrix(2, 0, m.Experts, h), []int{}, 0.0
	for e := range p {
		p[e], order = math.Exp(p[e]), append(order, e)
		total += p[e]
	}
	score := slices.Clone(p)
	for e := range m.Bias {
		score[e] = p[e]/total + float64(m.Bias[e])
	}
	sort.Slice(order, func(a, b int) bool { return score[order[a]] > score[order[b]] })
	total = 0
	for _, e := range order[:m.TopK] {
		total += p[e]
	}
	for _, e := range order[:m.TopK] {
		for k, v := range expert(3, 4, e, h) {
			y[k] += p[e] / total * v
		}
	}
	if len(values) > 5 {
		for k, v := range expert(5, 6, 0, h) {
			y[k] += v
		}
	}
	return y
}

func TestMixture(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m      op.Mixture
		shared bool
	}{
		"two of four":    {m: op.Mixture{Experts: 4, TopK: 2}},
		"all are chosen": {m: op.Mixture{Experts: 3, TopK: 3}},
		"shared":         {m: op.Mixture{Experts: 5, TopK: 3}, shared: true},
		"biased":         {m: op.Mixture{Experts: 4, TopK: 2, Bias: []float32{0.9, -0.5, 0.3, 2.5}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, share := range []bool{false, true} {
				values := mixtureInputs(c.m, c.shared)
				var routing *op.Routing
				circuit := build(t, values, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
					if share {
						p.ShareActivations()
					}
					return mixture(p, in, c.m, &routing)
				})
				circuit.checkGradients()
				var want []float64
				for i := range 19 {
					want = append(want, slowMixture(c.m, values, i)...)
				}
				near(t, want, circuit.result())
				total := 0
				for _, load := range routing.Use().Loads {
					total += load
				}
				require.Equal(t, 19*c.m.TopK, total, "none is dropped")
			}
		})
	}
}

// The gradient of the load-balance loss alone, against differences of what Use says, with the loads held fixed by the choice.
func TestBalanceGradient(t *testing.T) {
	t.Parallel()
	const coefficient, share, step = 0.7, 0.25, 1e-2
	m := op.Mixture{Experts: 4, TopK: 2, Balance: coefficient}
	values := mixtureInputs(m, false)
	seq := sequences(4)
	seq.Share = share
	var routing *op.Routing
	c := build(t, values, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return mixture(p, in, m, &routing)
	})
	clear(c.weights.Data)
	require.Zero(t, c.run())
	loads := routing.Use().Loads
	for input := range 3 {
		c.run()
		grad, data := slices.Clone(c.grad(input)), values[input].Float32s()
		used := min(len(data), 19*5)
		for j := 0; j < used; j += 1 + used/20 {
			at := data[j]
			balance := func(v float32) float64 {
				data[j] = v
				c.run()
				require.Equal(t, loads, routing.Use().Loads, "the step must change no choice")
				return routing.Use().Balance
			}
			want := coefficient * share * (balance(at+step) - balance(at-step)) / (2 * step)
			data[j] = at
			require.InDelta(t, want, grad[j], gradientBound(t)/10, "input %d element %d", input, j)
		}
	}
	c.run()
	for _, g := range c.grad(3) {
		require.Zero(t, g, "experts have no part in it")
	}
}

func TestBalanceOfEqualAndOfOneSidedLoads(t *testing.T) {
	t.Parallel()
	m := op.Mixture{Experts: 4, TopK: 2}
	values := mixtureInputs(m, false)
	var routing *op.Routing
	c := build(t, values, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return mixture(p, in, m, &routing)
	})
	clear(values[2].Float32s())
	c.run()
	u := routing.Use()
	require.Equal(t, []int{19, 19, 0, 0}, u.Loads, "of equals the first")
	require.InDelta(t, 1, u.Balance, 1e-6, "probabilities are equal")
	require.InDelta(t, 19*math.Log(4), u.Entropy, 1e-4)
	for i := range 19 { // all tokens alike, and the first two experts sure of them
		copy(values[0].Float32s()[i*5:], []float32{1, 0, 0, 0, 0})
	}
	values[1].Float32s()[0] = 1
	values[2].Float32s()[0], values[2].Float32s()[5] = 30, 30
	c.run()
	require.InDelta(t, 2, routing.Use().Balance, 1e-6, "half of the experts have everything: E/K")
}

func TestMixtureChecksShapes(t *testing.T) {
	t.Parallel()
	g := gorgonia.NewGraph()
	p := op.NewPack(kernel.Portable(), capacity)
	matrix := func(rows, columns int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, columns), gorgonia.WithName(fmt.Sprint(rows, columns)))
	}
	m := op.Mixture{Experts: 4, TopK: 2}
	_, err := op.Route(p, matrix(capacity, 5), matrix(3, 5), m)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = op.Route(p, matrix(capacity, 6), matrix(4, 5), m)
	require.ErrorIs(t, err, hone.ErrInvalid)
	r, err := op.Route(p, matrix(capacity, 5), matrix(4, 5), m)
	require.NoError(t, err)
	_, err = r.Linear(matrix(2*capacity, 5), matrix(9, 5))
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = r.Linear(matrix(capacity, 5), matrix(8, 5))
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = r.Shared(matrix(8, 6))
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = r.Combine(op.NewResidual(p, matrix(capacity, 5)), nil, matrix(2*capacity, 6))
	require.ErrorIs(t, err, hone.ErrInvalid)
}
