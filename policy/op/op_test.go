package op_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The graphs of the tests have more rows than sequences, so that what is left over is seen to be left alone.
const capacity = 24

// forwardTolerance bounds the float32 error of one operator against float64, on products as good as float32's; see forwardBound.
const forwardTolerance = 1e-5

// gradientTolerance bounds the difference between a gradient and a central difference over float32 forward passes: the step is 1e-2, so
// rounding contributes about 1e-5 of the sum, and the third derivative about 1e-4.
const gradientTolerance = 2e-3

// difference is the step of central differences.
const difference = 1e-2

// forwardBound is forwardTolerance for the kernels under test, by what they say of their products.
func forwardBound(t *testing.T) float64 {
	t.Helper()
	set, err := kernel.Open()
	require.NoError(t, err)
	return forwardTolerance * set.Tolerance() / kernel.Portable().Tolerance()
}

// gradientBound is gradientTolerance for them: what their results are worse by shows in both ends of a central difference.
func gradientBound(t *testing.T) float64 {
	t.Helper()
	return gradientTolerance + (forwardBound(t)-forwardTolerance)/(2*difference)
}

// sequences has three of them, one of a single token, and 19 tokens in all.
func sequences(vocab int) op.Sequences {
	s := op.Sequences{Starts: []int32{0, 7, 8, 19}}
	r := rng("sequences")
	for b := range 3 {
		for i := range s.Starts[b+1] - s.Starts[b] {
			s.Tokens = append(s.Tokens, int32(r.IntN(vocab)))
			s.Positions = append(s.Positions, i)
			s.Targets = append(s.Targets, int32(r.IntN(vocab+2))-2)
		}
	}
	return s
}

func rng(names ...any) *rand.Rand { return hone.Rand(hone.Seed(7, names...)) }

func normal(r *rand.Rand, shape ...int) *tensor.Dense {
	data := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// poison sets the rows beyond the sequences to NaN.
func poison(x *tensor.Dense) *tensor.Dense {
	data := x.Float32s()
	for i := 19 * (len(data) / capacity); i < len(data); i++ {
		data[i] = float32(math.NaN())
	}
	return x
}

// circuit is one operator between inputs and a weighted sum of its output, with the gradients for all inputs.
type circuit struct {
	t       *testing.T
	pack    *op.Pack
	values  []*tensor.Dense
	nodes   gorgonia.Nodes
	output  *gorgonia.Node
	cost    *gorgonia.Node
	weights *op.Weights
	vm      gorgonia.VM
}

// build makes a circuit.
func build(t *testing.T, values []*tensor.Dense, seq op.Sequences, f func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error)) *circuit {
	t.Helper()
	return buildFor(t, capacity, values, seq, f)
}

// buildFor makes a circuit of so many rows.
func buildFor(
	t *testing.T, rows int, values []*tensor.Dense, seq op.Sequences, f func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error),
) *circuit {
	t.Helper()
	set, err := kernel.Open()
	require.NoError(t, err)
	c := &circuit{t: t, pack: op.NewPack(set, rows), values: values}
	c.pack.Fill(seq)
	g := gorgonia.NewGraph()
	for _, v := range values {
		grad := tensor.New(tensor.WithShape(v.Shape()...), tensor.Of(tensor.Float32))
		c.nodes = append(c.nodes, gorgonia.NewTensor(g, tensor.Float32, v.Dims(), gorgonia.WithShape(v.Shape()...),
			gorgonia.WithName(string(rune('a'+len(c.nodes)))), gorgonia.WithValue(v), gorgonia.WithGrad(grad)))
	}
	c.output, err = f(c.pack, c.nodes)
	require.NoError(t, err)
	width := 1
	if c.output.Dims() == 2 {
		width = c.output.Shape()[1]
	}
	c.weights = &op.Weights{Data: normal(rng("weights"), len(seq.Tokens)*width).Float32s()}
	c.cost, err = op.WeightedSum(c.pack, c.output, c.weights)
	require.NoError(t, err)
	_, err = op.Grad(c.cost, c.nodes...)
	require.NoError(t, err)
	c.vm = gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(c.nodes...))
	t.Cleanup(func() { require.NoError(t, c.vm.Close()) })
	return c
}

// run gives the cost and leaves the gradients of this run alone in the nodes.
func (c *circuit) run() float64 {
	c.t.Helper()
	for i := range c.nodes {
		clear(c.grad(i))
	}
	c.vm.Reset()
	require.NoError(c.t, c.vm.RunAll())
	return float64(c.cost.Value().Data().(float32))
}

func (c *circuit) grad(i int) []float32 {
	v, err := c.nodes[i].Grad()
	require.NoError(c.t, err)
	return v.(*tensor.Dense).Float32s()
}

func (c *circuit) result() []float32 { return c.output.Value().(*tensor.Dense).Float32s() }

// checkGradients compares some elements of every input's gradient with central differences; elements beyond the sequences are
// expected not to count. float64 costs would need float64 kernels, so the float32 outputs are summed in float64 here.
func (c *circuit) checkGradients() {
	c.t.Helper()
	const step = difference
	c.run()
	var grads [][]float32
	for i := range c.nodes {
		grads = append(grads, append([]float32(nil), c.grad(i)...))
	}
	for i, v := range c.values {
		data := v.Float32s()
		used := len(data)
		if v.Dims() == 2 && v.Shape()[0] == capacity {
			used = 19 * v.Shape()[1]
		}
		for j := 0; j < used; j += 1 + used/40 {
			at := data[j]
			data[j] = at + step
			up := c.sum()
			data[j] = at - step
			down := c.sum()
			data[j] = at
			want := (up - down) / (2 * step)
			require.InDelta(c.t, want, grads[i][j], gradientBound(c.t)*math.Max(1, math.Abs(want)), "input %d element %d", i, j)
		}
	}
	c.run()
}

// sum is the cost in float64.
func (c *circuit) sum() float64 {
	c.t.Helper()
	c.run()
	total := 0.0
	for i, y := range c.result()[:len(c.weights.Data)] {
		total += float64(c.weights.Data[i]) * float64(y)
	}
	return total
}

func near(t *testing.T, want []float64, got []float32) {
	t.Helper()
	bound := forwardBound(t)
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= bound*math.Max(1, math.Abs(w))) {
			require.Failf(t, "differs", "element %d is %v, want %v", i, got[i], w)
		}
	}
}

func at(x *tensor.Dense, i, j int) float64 { return float64(x.Float32s()[i*x.Shape()[1]+j]) }

func TestGradientsAddUpOverRuns(t *testing.T) {
	t.Parallel()
	values := []*tensor.Dense{normal(rng("x"), capacity, 5), normal(rng("w"), 3, 5)}
	c := build(t, values, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Linear(p, in[0], in[1])
	})
	c.run()
	once := append([]float32(nil), c.grad(1)...)
	for range 2 {
		c.vm.Reset()
		require.NoError(t, c.vm.RunAll())
	}
	for i, v := range c.grad(1) {
		require.Equal(t, (once[i]+once[i])+once[i], v)
	}
}

func TestTwoEqualOperatorsAreNotMerged(t *testing.T) {
	t.Parallel()
	values := []*tensor.Dense{normal(rng("x"), capacity, 4), normal(rng("w"), 4, 4)}
	c := build(t, values, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		first, err := op.Linear(p, in[0], in[1])
		require.NoError(t, err)
		second, err := op.Linear(p, in[0], in[1])
		require.NoError(t, err)
		require.NotEqual(t, first.Hashcode(), second.Hashcode())
		return gorgonia.Add(first, second)
	})
	c.checkGradients()
}

func TestShapesAreCheckedWhenBuilding(t *testing.T) {
	t.Parallel()
	g := gorgonia.NewGraph()
	p := op.NewPack(kernel.Portable(), capacity)
	matrix := func(rows, columns int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, columns), gorgonia.WithName("m"))
	}
	vector := func(n int) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(n), gorgonia.WithName("v"))
	}
	heads := op.Heads{Query: 2, Key: 1, Dim: 2}
	for name, f := range map[string]func() error{
		"norm":   func() error { _, err := op.RMSNorm(p, matrix(capacity, 5), vector(4), 1); return err },
		"linear": func() error { _, err := op.Linear(p, matrix(capacity, 5), matrix(3, 4)); return err },
		"residual": func() error {
			_, err := op.NewResidual(p, matrix(capacity, 4)).LinearAdd(matrix(capacity, 4), matrix(3, 4))
			return err
		},
		"rotate":    func() error { _, err := op.Rotate(p, matrix(capacity, 9), heads); return err },
		"attention": func() error { _, err := op.Attention(p, matrix(capacity-1, 8), heads); return err },
		"swiglu":    func() error { _, err := op.SwiGLU(p, matrix(capacity, 5)); return err },
		"score":     func() error { _, _, err := op.Score(p, matrix(capacity, 5), matrix(7, 4), 1); return err },
		"value":     func() error { _, err := op.Value(p, matrix(capacity, 5), vector(5), vector(2), false); return err },
	} {
		require.ErrorIs(t, f(), hone.ErrInvalid, name)
	}
	require.Panics(t, func() { p.Fill(op.Sequences{Tokens: make([]int32, capacity+1)}) })
}
