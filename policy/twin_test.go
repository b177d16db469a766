package policy_test

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone/policy"
)

// twin is the policy in float64, one token and one number at a time: slow and obvious. It reads weights by name from a map, so
// that tests can move single ones by steps that float32 could not hold.
type twin struct {
	config  policy.Config
	weights map[string][]float64
	// routes is nil in a dense policy.
	routes *twinRoutes
}

func newTwin(p *policy.Params) twin {
	t := twin{config: p.Config(), weights: map[string][]float64{}}
	if t.config.MoE.Experts > 0 {
		t.routes = &twinRoutes{held: map[string][]int{}}
	}
	for _, tensor := range p.Tensors() {
		w := make([]float64, len(tensor.Data))
		for i, v := range tensor.Data {
			w[i] = float64(v)
		}
		t.weights[tensor.Name] = w
	}
	return t
}

// times is the matrix of that name, [out, len(x)], times x.
func (t twin) times(name string, x []float64) []float64 {
	w := t.weights[name]
	y := make([]float64, len(w)/len(x))
	for i := range y {
		for j, v := range x {
			y[i] += w[i*len(x)+j] * v
		}
	}
	return y
}

func (t twin) norm(name string, x []float64) []float64 {
	square := 0.0
	for _, v := range x {
		square += v * v / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(square+float64(t.config.NormEps)) * t.weights[name][i]
	}
	return y
}

func (t twin) rotate(x []float64, position int) {
	d := t.config.HeadDim()
	for h := 0; h < len(x); h += d {
		for i := range d / 2 {
			sin, cos := math.Sincos(float64(position) * math.Pow(float64(t.config.RopeTheta), -2*float64(i)/float64(d)))
			a, b := x[h+i], x[h+i+d/2]
			x[h+i], x[h+i+d/2] = a*cos-b*sin, b*cos+a*sin
		}
	}
}

// swiglu is the feed-forward with the matrices of these names.
func (t twin) swiglu(h []float64, gate, up, down string) []float64 {
	g, u := t.times(gate, h), t.times(up, h)
	for j, v := range g {
		g[j] = v / (1 + math.Exp(-v)) * u[j]
	}
	return t.times(down, g)
}

// hidden is the final normalised vector of each token of one sequence; sequence is its number in the batch.
func (t twin) hidden(sequence int, tokens []int32) [][]float64 {
	c := t.config
	xs := make([][]float64, len(tokens))
	for i, token := range tokens {
		xs[i] = append([]float64(nil), t.weights["model.embed_tokens.weight"][int(token)*c.Width:(int(token)+1)*c.Width]...)
	}
	for l := range c.Layers {
		name := func(part string) string { return fmt.Sprintf("model.layers.%d.%s.weight", l, part) }
		var keys, values [][]float64
		for i, x := range xs {
			h := t.norm(name("input_layernorm"), x)
			q, k := t.times(name("self_attn.q_proj"), h), t.times(name("self_attn.k_proj"), h)
			t.rotate(q, i)
			t.rotate(k, i)
			keys, values = append(keys, k), append(values, t.times(name("self_attn.v_proj"), h))
			add(x, t.times(name("self_attn.o_proj"), t.attend(q, t.seen(keys), t.seen(values))))
		}
		for i, x := range xs {
			h := t.norm(name("post_attention_layernorm"), x)
			if t.routes != nil {
				add(x, t.mixture(l, fmt.Sprint(sequence, i), h))
				continue
			}
			add(x, t.swiglu(h, name("mlp.gate_proj"), name("mlp.up_proj"), name("mlp.down_proj")))
		}
	}
	for i, x := range xs {
		xs[i] = t.norm("model.norm.weight", x)
	}
	return xs
}

// seen are the keys or values that the window leaves to the last of them.
func (t twin) seen(all [][]float64) [][]float64 {
	if t.config.Window == 0 {
		return all
	}
	return all[max(0, len(all)-t.config.Window):]
}

func (t twin) attend(q []float64, keys, values [][]float64) []float64 {
	c, d := t.config, t.config.HeadDim()
	out := make([]float64, len(q))
	for h := range c.Heads {
		kv := h * c.KVHeads / c.Heads * d
		total, p := 0.0, make([]float64, len(keys))
		for j, k := range keys {
			for i := range d {
				p[j] += q[h*d+i] * k[kv+i]
			}
			p[j] = math.Exp(p[j] / math.Sqrt(float64(d)))
			total += p[j]
		}
		for j, v := range values {
			for i := range d {
				out[h*d+i] += p[j] / total * v[kv+i]
			}
		}
	}
	return out
}

func add(x, y []float64) {
	for i, v := range y {
		x[i] += v
	}
}

// score is what Evaluate gives for a batch.
func (t twin) score(b policy.Batch, temperature float64) (logp, entropy, value []float64) {
	output := "model.embed_tokens.weight"
	if t.config.Untied {
		output = "lm_head.weight"
	}
	if t.routes != nil {
		t.routes.begin(t.config, b.Len())
	}
	for s := range len(b.Starts) - 1 {
		from, to := b.Starts[s], b.Starts[s+1]
		for i, h := range t.hidden(s, b.Tokens[from:to]) {
			value = append(value, t.times("value_head.weight", h)[0]+t.weights["value_head.bias"][0])
			target := b.Targets[int(from)+i]
			if target < 0 {
				logp, entropy = append(logp, 0), append(entropy, 0)
				continue
			}
			z, total, e := t.times(output, h), 0.0, 0.0
			for _, v := range z {
				total += math.Exp(v / temperature)
			}
			for j := range z {
				z[j] = z[j]/temperature - math.Log(total)
				e -= math.Exp(z[j]) * z[j]
			}
			logp, entropy = append(logp, z[target]), append(entropy, e)
		}
	}
	return logp, entropy, value
}
