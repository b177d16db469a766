package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
)

// slowAttention is the forward pass and the gradient of sum(dout*out), in float64, one query and one key at a time.
func slowAttention(a kernel.Attention, packed, dout []float32) (out, grad []float64) {
	d, width := a.HeadDim, a.Width()
	n := len(packed) / width
	out, grad = make([]float64, n*a.Heads*d), make([]float64, len(packed))
	scale := 1 / math.Sqrt(float64(d))
	for b := range len(a.Starts) - 1 {
		for h := range a.Heads {
			key := (a.Heads + h*a.KVHeads/a.Heads) * d
			value := key + a.KVHeads*d
			for i := int(a.Starts[b]); i < int(a.Starts[b+1]); i++ {
				first := int(a.Starts[b])
				if a.Window > 0 {
					first = max(first, i+1-a.Window)
				}
				slowQuery(query{packed, dout, out, grad, width, i*width + h*d, (i*a.Heads + h) * d, key, value, first, i, d, scale})
			}
		}
	}
	return out, grad
}

// query is one query's place: at is its column in packed, to that of its result.
type query struct {
	packed, dout                        []float32
	out, grad                           []float64
	width, at, to, key, value, first, i int
	d                                   int
	scale                               float64
}

func slowQuery(q query) {
	n := q.i - q.first + 1
	p, dp := make([]float64, n), make([]float64, n)
	total := 0.0
	for j := range p {
		for c := range q.d {
			p[j] += q.scale * float64(q.packed[q.at+c]) * float64(q.packed[(q.first+j)*q.width+q.key+c])
		}
		p[j] = math.Exp(p[j])
		total += p[j]
	}
	mean := 0.0
	for j := range p {
		p[j] /= total
		for c := range q.d {
			v := (q.first+j)*q.width + q.value + c
			q.out[q.to+c] += p[j] * float64(q.packed[v])
			dp[j] += float64(q.dout[q.to+c]) * float64(q.packed[v])
			q.grad[v] += p[j] * float64(q.dout[q.to+c])
		}
		mean += p[j] * dp[j]
	}
	for j := range p {
		ds := p[j] * (dp[j] - mean) * q.scale
		for c := range q.d {
			k := (q.first+j)*q.width + q.key + c
			q.grad[q.at+c] += ds * float64(q.packed[k])
			q.grad[k] += ds * float64(q.packed[q.at+c])
		}
	}
}

func TestAttention(t *testing.T) {
	t.Parallel()
	cases := map[string]kernel.Attention{
		"no sequence":             {Heads: 2, KVHeads: 1, HeadDim: 4, Starts: []int32{0}},
		"one token":               {Heads: 2, KVHeads: 1, HeadDim: 4, Starts: []int32{0, 1}},
		"one head":                {Heads: 1, KVHeads: 1, HeadDim: 8, Starts: []int32{0, 9}},
		"as many keys as queries": {Heads: 3, KVHeads: 3, HeadDim: 2, Starts: []int32{0, 5, 12}},
		"groups and odd lengths":  {Heads: 4, KVHeads: 2, HeadDim: 8, Starts: []int32{0, 1, 8, 8, 73, 74}},
		"several query blocks":    {Heads: 2, KVHeads: 1, HeadDim: 16, Starts: []int32{0, 64, 64 + 65, 64 + 65 + 150}},
		"sees itself alone":       {Heads: 2, KVHeads: 1, HeadDim: 8, Window: 1, Starts: []int32{0, 1, 3, 70}},
		"window within a block":   {Heads: 4, KVHeads: 2, HeadDim: 8, Window: 5, Starts: []int32{0, 4, 9, 9, 80, 150}},
		"window over blocks":      {Heads: 2, KVHeads: 2, HeadDim: 8, Window: 100, Starts: []int32{0, 99, 99 + 101, 99 + 101 + 300}},
		"window of a block":       {Heads: 2, KVHeads: 1, HeadDim: 16, Window: 64, Starts: []int32{0, 64, 64 + 65, 64 + 65 + 200}},
	}
	for name, a := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *kernel.Set) {
				n := int(a.Starts[len(a.Starts)-1])
				packed, dout := normal(rng(name), n*a.Width()), normal(rng("d", name), n*a.Heads*a.HeadDim)
				out, lse := make([]float32, len(dout)), make([]float32, n*a.Heads)
				want, wantGrad := slowAttention(a, packed, dout)
				s.Attend(a, out, lse, packed)
				near(t, want, out, rowTolerance*s.Tolerance()/1e-6, "out")
				grad := normal(rng("dirt"), len(packed))
				s.AttendGrad(a, kernel.AttentionGrad{DPacked: grad, DOut: dout, Out: out, LSE: lse, Packed: packed})
				near(t, wantGrad, grad, 2*rowTolerance*s.Tolerance()/1e-6, "gradient")
			})
		})
	}
}

func TestAttentionSeesNeitherTheFutureNorOtherSequences(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		a := kernel.Attention{Heads: 2, KVHeads: 1, HeadDim: 4, Starts: []int32{0, 5, 12}}
		packed := normal(rng("p"), 12*a.Width())
		out, lse := make([]float32, 12*8), make([]float32, 12*2)
		s.Attend(a, out, lse, packed)
		before := append([]float32(nil), out...)
		for i := 7 * a.Width(); i < 8*a.Width(); i++ {
			packed[i] += 3
		}
		s.Attend(a, out, lse, packed)
		require.Equal(t, before[:7*8], out[:7*8], "tokens before the changed one, in both sequences")
		require.NotEqual(t, before[7*8:], out[7*8:])
	})
}

func TestAttentionWithAWindowAsLongAsTheSequenceIsAttention(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		a := kernel.Attention{Heads: 2, KVHeads: 1, HeadDim: 8, Starts: []int32{0, 5, 155}}
		packed, dout := normal(rng("p"), 155*a.Width()), normal(rng("d"), 155*16)
		run := func(window int) (out, grad []float32) {
			a.Window = window
			out, grad = make([]float32, 155*16), make([]float32, len(packed))
			lse := make([]float32, 155*2)
			s.Attend(a, out, lse, packed)
			s.AttendGrad(a, kernel.AttentionGrad{DPacked: grad, DOut: dout, Out: out, LSE: lse, Packed: packed})
			return out, grad
		}
		out, grad := run(0)
		for _, window := range []int{150, 1 << 20} {
			windowed, windowedGrad := run(window)
			require.Equal(t, out, windowed)
			require.Equal(t, grad, windowedGrad)
		}
	})
}

// What no query of a block sees is not read: a NaN there would spread through the products otherwise.
func TestAttentionSkipsWhatIsOutsideOfTheWindow(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		a := kernel.Attention{Heads: 2, KVHeads: 1, HeadDim: 4, Window: 10, Starts: []int32{0, 200}}
		packed := normal(rng("p"), 200*a.Width())
		for i := range 55 * a.Width() {
			packed[i] = float32(math.NaN())
		}
		out, lse := make([]float32, 200*8), make([]float32, 200*2)
		s.Attend(a, out, lse, packed)
		for i, v := range out[64*8:] {
			require.False(t, math.IsNaN(float64(v)), "token %d", 64+i/8)
		}
		require.True(t, math.IsNaN(float64(out[54*8])))
	})
}

func BenchmarkAttention(b *testing.B) {
	s, err := kernel.Open()
	require.NoError(b, err)
	const tokens = 2048
	for _, window := range []int{0, 256} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			a := kernel.Attention{Heads: 6, KVHeads: 2, HeadDim: 64, Window: window, Starts: []int32{0, tokens}}
			packed, dout := normal(rng("p"), tokens*a.Width()), normal(rng("d"), tokens*a.Heads*a.HeadDim)
			out, lse, grad := make([]float32, len(dout)), make([]float32, tokens*a.Heads), make([]float32, len(packed))
			for b.Loop() {
				s.Attend(a, out, lse, packed)
				s.AttendGrad(a, kernel.AttentionGrad{DPacked: grad, DOut: dout, Out: out, LSE: lse, Packed: packed})
			}
			b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
