package op_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

const (
	scoreVocab  = 9
	temperature = 0.7
)

// scores builds the circuit for the log-probabilities (0) or the entropies (1).
func scores(t *testing.T, which int, seq op.Sequences) *circuit {
	t.Helper()
	x, table := poison(normal(rng("x"), capacity, 6)), normal(rng("table"), scoreVocab, 6)
	return build(t, []*tensor.Dense{x, table}, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		logp, entropy, err := op.Score(p, in[0], in[1], temperature)
		return gorgonia.Nodes{logp, entropy}[which], err
	})
}

func TestScore(t *testing.T) {
	t.Parallel()
	seq := sequences(scoreVocab)
	for which, name := range []string{"log-probability", "entropy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scores(t, which, seq)
			c.checkGradients()
			var want []float64
			for i, target := range seq.Targets {
				if target < 0 {
					want = append(want, 0)
					continue
				}
				logp, entropy := slowScore(c.values[0], c.values[1], i, int(target))
				want = append(want, []float64{logp, entropy}[which])
			}
			near(t, want, c.result())
			require.Equal(t, make([]float32, capacity-19), c.result()[19:])
		})
	}
}

func slowScore(x, table *tensor.Dense, i, target int) (logp, entropy float64) {
	z := make([]float64, scoreVocab)
	total := 0.0
	for v := range z {
		for k := range x.Shape()[1] {
			z[v] += at(x, i, k) * at(table, v, k) / temperature
		}
		total += math.Exp(z[v])
	}
	for v := range z {
		z[v] -= math.Log(total)
		entropy -= math.Exp(z[v]) * z[v]
	}
	return z[target], entropy
}

func TestScoreIgnoresGradientsWithoutATarget(t *testing.T) {
	t.Parallel()
	seq := sequences(scoreVocab)
	c := scores(t, 0, seq)
	for i, target := range seq.Targets {
		if target < 0 {
			c.weights.Data[i] = 0
		}
	}
	c.run()
	want := append([]float32(nil), c.grad(1)...)
	for i, target := range seq.Targets {
		if target < 0 {
			c.weights.Data[i] = float32(math.NaN())
		}
	}
	c.run()
	require.Equal(t, want, c.grad(1))
}
