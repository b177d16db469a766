package op_test

import (
	"testing"

	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestEmbed(t *testing.T) {
	t.Parallel()
	const vocab = 6
	table, seq := normal(rng("table"), vocab, 5), sequences(vocab)
	c := build(t, []*tensor.Dense{table}, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Embed(p, in[0])
	})
	c.checkGradients()
	var want []float64
	for _, token := range seq.Tokens {
		for j := range 5 {
			want = append(want, at(table, int(token), j))
		}
	}
	near(t, want, c.result())
}
