package decode

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// feedForwardWeights are those of one SwiGLU feed-forward.
type feedForwardWeights struct {
	gateUp *kernel.Weight // [2F, D]
	down   *kernel.Weight // [D, F]
}

// mixtureWeights are a layer's router and its experts. There are none in a dense policy.
type mixtureWeights struct {
	router  kernel.Router
	experts []feedForwardWeights
}

// feedForwards are a layer's dense or shared feed-forward, if it has one, and its mixture. matrix packs the named tensors, on top of each
// other, for rows of the given width.
func feedForwards(
	params *policy.Params, layer int, matrix func(in int, names ...string) *kernel.Weight,
) (feedForwardWeights, mixtureWeights) {
	c, p := params.Config(), fmt.Sprintf("model.layers.%d.", layer)
	swiglu := func(hidden int, gate, up, down string) feedForwardWeights {
		return feedForwardWeights{matrix(c.Width, p+gate+".weight", p+up+".weight"), matrix(hidden, p+down+".weight")}
	}
	if c.MoE.Experts == 0 {
		return swiglu(c.Hidden, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"), mixtureWeights{}
	}
	const moe = "block_sparse_moe."
	m := mixtureWeights{router: kernel.Router{
		Experts: c.MoE.Experts, TopK: c.MoE.Choices(), Gate: slices.Clone(params.Tensor(p + moe + "gate.weight")),
		Bias: slices.Clone(params.Tensor(p + moe + "gate.e_score_correction_bias")),
	}}
	for e := range c.MoE.Experts {
		name := fmt.Sprintf("%sexperts.%d.", moe, e)
		m.experts = append(m.experts, swiglu(c.Hidden, name+"w1", name+"w3", name+"w2"))
	}
	if c.MoE.Shared == 0 {
		return feedForwardWeights{}, m
	}
	const shared = moe + "shared_experts."
	return swiglu(c.MoE.Shared*c.Hidden, shared+"gate_proj", shared+"up_proj", shared+"down_proj"), m
}

// mixtureBuffers are a pass's for mixtures.
type mixtureBuffers struct {
	routes *kernel.Routes
	rows   []float32 // [passRows, D] what one expert reads, then what it gives
	tokens []int     // [passRows] whose they are, as places in Routes
}

func newMixtureBuffers(c policy.Config) mixtureBuffers {
	if c.MoE.Experts == 0 {
		return mixtureBuffers{}
	}
	return mixtureBuffers{
		routes: kernel.NewRoutes(passRows, c.MoE.Experts, c.MoE.Choices()),
		rows:   make([]float32, passRows*c.Width),
		tokens: make([]int, 0, passRows),
	}
}

// feedForward adds a feed-forward of the first n rows of norm to x.
func (p *pass) feedForward(n int, f feedForwardWeights) {
	p.multiply(product{n, p.norm, f.gateUp, p.gateUp, false})
	p.swiglu(n, f.down.In)
	p.multiply(product{n, p.hidden, f.down, p.x, true})
}

// mixture adds to the first n rows of x what their experts make of those of norm, expert by expert. A row's sum is taken in the order of
// the experts, so its bits are its own.
func (p *pass) mixture(n int, m mixtureWeights) {
	b, width, k := &p.experts, p.config.Width, m.router.TopK
	p.set.Route(m.router, b.routes, p.norm, n)
	for e, expert := range m.experts {
		b.tokens = b.tokens[:0]
		for a, chosen := range b.routes.Experts[:n*k] {
			if int(chosen) == e {
				copy(b.rows[len(b.tokens)*width:], p.norm[a/k*width:(a/k+1)*width])
				b.tokens = append(b.tokens, a)
			}
		}
		rows := len(b.tokens)
		p.multiply(product{rows, b.rows, expert.gateUp, p.gateUp, false})
		p.swiglu(rows, expert.down.In)
		p.multiply(product{rows, p.hidden, expert.down, b.rows, false})
		for i, a := range b.tokens {
			p.set.Axpy(b.routes.Weights[a], b.rows[i*width:(i+1)*width], p.x[a/k*width:(a/k+1)*width])
		}
	}
}
