package op_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var heads = op.Heads{Query: 4, Key: 2, Dim: 4, Rotary: kernel.NewRotary(4, 16, 50)}

const packedWidth = 8 * 4

func TestAttention(t *testing.T) {
	t.Parallel()
	for _, window := range []int{0, 1, 4} {
		t.Run(fmt.Sprintf("window=%d", window), func(t *testing.T) {
			t.Parallel()
			checkAttention(t, window)
		})
	}
}

func checkAttention(t *testing.T, window int) {
	t.Helper()
	heads := heads
	heads.Window = window
	x, seq := poison(normal(rng("x"), capacity, packedWidth)), sequences(4)
	c := build(t, []*tensor.Dense{x}, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Attention(p, in[0], heads)
	})
	c.checkGradients()
	var want []float64
	for b := range len(seq.Starts) - 1 {
		first := int(seq.Starts[b])
		for i := first; i < int(seq.Starts[b+1]); i++ {
			for h := range heads.Query {
				seen := first
				if window > 0 {
					seen = max(first, i+1-window)
				}
				want = append(want, attend(x, seen, i, h)...)
			}
		}
	}
	near(t, want, c.result())
}

// attend is head h of token i over the tokens from first on, in float64.
func attend(x *tensor.Dense, first, i, h int) []float64 {
	key := (heads.Query + h/2) * heads.Dim
	value := key + heads.Key*heads.Dim
	out, total := make([]float64, heads.Dim), 0.0
	for j := first; j <= i; j++ {
		score := 0.0
		for d := range heads.Dim {
			score += at(x, i, h*heads.Dim+d) * at(x, j, key+d)
		}
		p := math.Exp(score / math.Sqrt(float64(heads.Dim)))
		total += p
		for d := range out {
			out[d] += p * at(x, j, value+d)
		}
	}
	for d := range out {
		out[d] /= total
	}
	return out
}

func TestRotate(t *testing.T) {
	t.Parallel()
	x, seq := poison(normal(rng("x"), capacity, packedWidth)), sequences(4)
	c := build(t, []*tensor.Dense{x}, seq, func(p *op.Pack, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return op.Rotate(p, in[0], heads)
	})
	c.checkGradients()
	var want []float64
	for i, position := range seq.Positions {
		for h := range heads.Query + 2*heads.Key {
			for d := range heads.Dim {
				pair, sign := d+heads.Dim/2, -1.0
				if d >= heads.Dim/2 {
					pair, sign = d-heads.Dim/2, 1
				}
				angle := float64(position) * math.Pow(50, -2*float64(d%2)/float64(heads.Dim))
				if h >= heads.Query+heads.Key {
					angle = 0
				}
				want = append(want, at(x, i, h*heads.Dim+d)*math.Cos(angle)+sign*at(x, i, h*heads.Dim+pair)*math.Sin(angle))
			}
		}
	}
	near(t, want, c.result())
}
