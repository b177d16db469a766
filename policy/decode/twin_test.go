package decode_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// tolerance is what float32 may differ from the float64 twin, absolutely, in a log-probability or a value: both are sums of a
// few hundred products of numbers of about 1.
const tolerance = 1e-5

// small is a policy of a few thousand parameters whose contexts span several cache blocks.
func small() policy.Config {
	config := policy.DefaultConfig()
	config.Vocab = token.Arithmetic().Vocab()
	config.Width, config.Layers, config.Heads, config.KVHeads, config.Hidden, config.Context = 32, 2, 4, 2, 48, 80
	return config
}

// randomParams have no zero and no one in them, so that every parameter counts.
func randomParams(t testing.TB, config policy.Config) *policy.Params {
	t.Helper()
	params, err := policy.Init(config, 7)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(11, 12))
	fill := func(name string, mean, spread float64) {
		x := params.Tensor(name)
		require.NotEmpty(t, x, name)
		for i := range x {
			x[i] = float32(mean + spread*random.NormFloat64())
		}
	}
	fill("model.embed_tokens.weight", 0, 0.3)
	fill("model.norm.weight", 1, 0.1)
	fill("value_head.weight", 0, 0.3)
	fill("value_head.bias", 0.5, 0)
	if config.Untied {
		fill("lm_head.weight", 0, 0.3)
	}
	for _, tensor := range params.Tensors() {
		switch {
		case !strings.HasPrefix(tensor.Name, "model.layers."):
		case strings.HasSuffix(tensor.Name, "layernorm.weight"):
			fill(tensor.Name, 1, 0.1)
		case strings.HasSuffix(tensor.Name, "bias"):
			fill(tensor.Name, 0, 0.1)
		default:
			fill(tensor.Name, 0, 0.2)
		}
	}
	return params
}

func newEngine(t testing.TB, params *policy.Params, set *kernel.Set, opts decode.Options) *decode.Engine {
	t.Helper()
	engine, err := decode.New(params, token.Arithmetic(), set, opts)
	require.NoError(t, err)
	return engine
}

func bestSet(t testing.TB) *kernel.Set {
	t.Helper()
	set, err := kernel.Open()
	require.NoError(t, err)
	return set
}

func encode(t testing.TB, text string) []hone.TokenID {
	t.Helper()
	ids, err := token.Arithmetic().Encode(text)
	require.NoError(t, err)
	return ids
}

// twin is the policy in float64, the obvious way: every position from the start, no cache, no batch.
type twin struct {
	config policy.Config
	params *policy.Params
	// bf16 rounds what decode.BF16 rounds.
	bf16 bool
}

// forward gives the logits [T, V] and the values [T] after each token.
func (w twin) forward(tokens []hone.TokenID) (logits [][]float64, values []float64) {
	c := w.config
	n, headDim := len(tokens), c.Width/c.Heads
	x := make([][]float64, n)
	for i, id := range tokens {
		x[i] = wide(w.params.Tensor("model.embed_tokens.weight")[int(id)*c.Width:][:c.Width])
	}
	for l := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		q, k, v := make([][]float64, n), make([][]float64, n), make([][]float64, n)
		for i := range x {
			h := w.norm(p+"input_layernorm.weight", x[i])
			q[i], k[i] = w.linear(p+"self_attn.q_proj.weight", h), w.linear(p+"self_attn.k_proj.weight", h)
			v[i] = w.linear(p+"self_attn.v_proj.weight", h)
			w.rotate(q[i], i, headDim)
			w.rotate(k[i], i, headDim)
			for j := range q[i] {
				q[i][j] = w.rounded(q[i][j] / math.Sqrt(float64(headDim)))
			}
			for j := range k[i] {
				k[i][j], v[i][j] = w.rounded(k[i][j]), w.rounded(v[i][j])
			}
		}
		for i := range x {
			mixed := make([]float64, c.Width)
			for head := range c.Heads {
				from := head / (c.Heads / c.KVHeads) * headDim
				first := 0
				if c.Window > 0 {
					first = max(0, i+1-c.Window)
				}
				scores := make([]float64, i+1-first)
				for j := range scores {
					for d := range headDim {
						scores[j] += q[i][head*headDim+d] * k[first+j][from+d]
					}
				}
				for j, p := range logSoftmax(scores, 1) {
					for d := range headDim {
						mixed[head*headDim+d] += w.rounded(math.Exp(p)) * v[first+j][from+d]
					}
				}
			}
			add(x[i], w.linear(p+"self_attn.o_proj.weight", mixed))
			h := w.norm(p+"post_attention_layernorm.weight", x[i])
			if c.MoE.Experts > 0 {
				w.mixture(p+"block_sparse_moe.", x[i], h)
				continue
			}
			add(x[i], w.swiglu(h, p+"mlp.gate_proj", p+"mlp.up_proj", p+"mlp.down_proj"))
		}
	}
	head := "model.embed_tokens.weight"
	if c.Untied {
		head = "lm_head.weight"
	}
	for i := range x {
		h := w.norm("model.norm.weight", x[i])
		logits = append(logits, w.linear(head, h))
		values = append(values, w.linear("value_head.weight", h)[0]+float64(w.params.Tensor("value_head.bias")[0]))
	}
	return logits, values
}

// swiglu is the feed-forward with the matrices of these names.
func (w twin) swiglu(h []float64, gate, up, down string) []float64 {
	g, u := w.linear(gate+".weight", h), w.linear(up+".weight", h)
	for j, v := range g {
		u[j] *= v / (1 + math.Exp(-v))
	}
	return w.linear(down+".weight", u)
}

// mixture adds to x what the experts make of h: each of those with the highest probabilities, with the biases, by its probability.
func (w twin) mixture(p string, x, h []float64) {
	m := w.config.MoE
	probs, order, total := logSoftmax(w.linear(p+"gate.weight", h), 1), []int{}, 0.0
	for e := range probs {
		probs[e], order = math.Exp(probs[e]), append(order, e)
	}
	score := append([]float64(nil), probs...)
	for e, bias := range w.params.Tensor(p + "gate.e_score_correction_bias") {
		score[e] += float64(bias)
	}
	sort.SliceStable(order, func(i, j int) bool { return score[order[i]] > score[order[j]] })
	for _, e := range order[:m.Choices()] {
		total += probs[e]
	}
	for _, e := range order[:m.Choices()] {
		expert := fmt.Sprintf("%sexperts.%d.", p, e)
		y := w.swiglu(h, expert+"w1", expert+"w3", expert+"w2")
		for j := range y {
			y[j] *= probs[e] / total
		}
		add(x, y)
	}
	if m.Shared > 0 {
		shared := p + "shared_experts."
		add(x, w.swiglu(h, shared+"gate_proj", shared+"up_proj", shared+"down_proj"))
	}
}

func (w twin) norm(name string, x []float64) []float64 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	y := wide(w.params.Tensor(name))
	for i := range y {
		y[i] *= x[i] / math.Sqrt(square/float64(len(x))+float64(w.config.NormEps))
	}
	return y
}

func (w twin) linear(name string, x []float64) []float64 {
	weight := w.params.Tensor(name)
	y := make([]float64, len(weight)/len(x))
	rounded := w.rounded
	if name == "value_head.weight" || strings.HasSuffix(name, "block_sparse_moe.gate.weight") {
		rounded = twin{}.rounded
	}
	for i := range y {
		for j, v := range x {
			y[i] += rounded(float64(weight[i*len(x)+j])) * rounded(v)
		}
	}
	return y
}

// rounded is x in bfloat16, if that is the policy's precision.
func (w twin) rounded(x float64) float64 {
	if w.bf16 {
		return float64(kernel.NewBFloat16(float32(x)).Float32())
	}
	return x
}

func (w twin) rotate(x []float64, position, headDim int) {
	half := headDim / 2
	for head := 0; head < len(x); head += headDim {
		for i := range half {
			sin, cos := math.Sincos(float64(position) * math.Pow(float64(w.config.RopeTheta), -2*float64(i)/float64(headDim)))
			a, b := x[head+i], x[head+half+i]
			x[head+i], x[head+half+i] = a*cos-b*sin, b*cos+a*sin
		}
	}
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func add(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

// logSoftmax is the log of the probabilities at a temperature.
func logSoftmax(z []float64, temperature float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range z {
		top = max(top, v/temperature)
	}
	y := make([]float64, len(z))
	for _, v := range z {
		sum += math.Exp(v/temperature - top)
	}
	for i, v := range z {
		y[i] = v/temperature - top - math.Log(sum)
	}
	return y
}
