package op_test

import (
	"errors"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stack is three blocks of a norm and a product each, with or without shared activations.
func stack(t *testing.T, share bool) *circuit {
	t.Helper()
	values := []*tensor.Dense{poison(normal(rng("x"), capacity, 5)), normal(rng("g"), 5)}
	for i := range 3 {
		values = append(values, normal(rng("w", i), 5, 5))
	}
	return build(t, values, sequences(4), func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		if share {
			p.ShareActivations()
		}
		x := in[0]
		for i := range 3 {
			y, err := op.Block(p, x, func(x *gorgonia.Node) (*gorgonia.Node, error) {
				r := op.NewResidual(p, x)
				h, err := r.Norm(in[1], 1e-3)
				require.NoError(t, err)
				return r.LinearAdd(h, in[2+i])
			})
			require.NoError(t, err)
			x = y
		}
		return x, nil
	})
}

func TestBlocksTakeTurnsWithMemory(t *testing.T) {
	t.Parallel()
	apart, shared := stack(t, false), stack(t, true)
	shared.checkGradients()
	apart.run()
	require.Equal(t, apart.result()[:19*5], shared.result()[:19*5])
	for i := range apart.nodes {
		require.Equal(t, apart.grad(i), shared.grad(i), "input %d", i)
	}
	require.Equal(t, 2*4*capacity*5, apart.pack.Bytes()-shared.pack.Bytes(), "two norms' outputs")
}

var errBuild = errors.New("as of a builder")

func TestBlockReportsWhatFailsInIt(t *testing.T) {
	t.Parallel()
	g := gorgonia.NewGraph()
	p := op.NewPack(nil, capacity)
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(capacity, 3), gorgonia.WithName("x"))
	_, err := op.Block(p, x, func(*gorgonia.Node) (*gorgonia.Node, error) { return nil, errBuild })
	require.ErrorIs(t, err, errBuild)
	require.ErrorContains(t, err, "block 0")
}
