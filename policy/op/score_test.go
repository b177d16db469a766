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

// How many logits are in memory at once, and rows without a target among the others, change no bit.
func TestScoreInChunksGivesTheSameBits(t *testing.T) {
	t.Parallel()
	const rows, width = 1000, 6
	r := rng("chunks")
	seq := op.Sequences{Starts: []int32{0, 300, 301, 950}}
	for i := range seq.Starts[3] {
		seq.Tokens, seq.Positions, seq.Targets = append(seq.Tokens, 0), append(seq.Positions, 0), append(seq.Targets, int32(r.IntN(scoreVocab)))
		if i < 270 || i > 400 && i < 420 {
			seq.Targets[i] = -1
		}
	}
	x, table := normal(rng("x"), rows, width), normal(rng("table"), scoreVocab, width)
	run := func(most int) *circuit {
		c := buildFor(t, rows, []*tensor.Dense{x, table}, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
			logp, _, err := op.ScoreChunks(p, in[0], in[1], temperature, most)
			return logp, err
		})
		c.run()
		return c
	}
	whole, parts := run(rows*scoreVocab), run(1)
	require.Equal(t, whole.result(), parts.result())
	require.Equal(t, whole.grad(0), parts.grad(0))
	require.Equal(t, whole.grad(1), parts.grad(1))
	for i, target := range seq.Targets {
		if target < 0 {
			require.Equal(t, make([]float32, width), whole.grad(0)[i*width:(i+1)*width])
		}
	}
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
