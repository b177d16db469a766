package policy

import (
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// builder adds the transformer to a graph. The first error sticks, and every later call does nothing.
type builder struct {
	graph  *gorgonia.ExprGraph
	pack   *op.Pack
	params *Params
	// grads, if not nil, is where the gradients of the weights are added.
	grads   *Params
	weights []target
	// routings are those of the layers, in a mixture of experts.
	routings []*op.Routing
	heads    op.Heads
	err      error
}

func newBuilder(params, grads *Params, pack *op.Pack, rotary *kernel.Rotary) *builder {
	c := params.config
	return &builder{
		graph: gorgonia.NewGraph(), pack: pack, params: params, grads: grads,
		heads: op.Heads{Query: c.Heads, Key: c.KVHeads, Dim: c.HeadDim(), Window: c.Window, Rotary: rotary},
	}
}

// weight is a node over the tensors from first to last, which lie side by side, as one matrix or vector. Its value and its gradient are
// windows on the policy's and the gradients' flat slices: nothing is copied.
func (b *builder) weight(first, last string) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	data, rows := b.params.span(first, last)
	shape := tensor.Shape{rows}
	if columns := len(data) / rows; len(b.params.tensors[b.params.index[first]].Shape) == 2 {
		shape = tensor.Shape{rows, columns}
	}
	options := []gorgonia.NodeConsOpt{
		gorgonia.WithShape(shape...), gorgonia.WithName(first),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))),
	}
	n := gorgonia.NewTensor(b.graph, tensor.Float32, shape.Dims(), options...)
	t := target{weight: n}
	if b.grads != nil {
		t.grad, _ = b.grads.span(first, last)
	}
	b.weights = append(b.weights, t)
	return n
}

// do adds an operator unless something has failed before.
func (b *builder) do(f func() (*gorgonia.Node, error)) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	n, err := f()
	b.err = err
	return n
}

// norm begins a sublayer.
func (b *builder) norm(r *op.Residual, name string) *gorgonia.Node {
	w := b.weight(name, name)
	return b.do(func() (*gorgonia.Node, error) { return r.Norm(w, b.params.config.NormEps) })
}

func (b *builder) linear(x *gorgonia.Node, first, last string) *gorgonia.Node {
	w := b.weight(first, last)
	return b.do(func() (*gorgonia.Node, error) { return op.Linear(b.pack, x, w) })
}

// linearAdd ends a sublayer.
func (b *builder) linearAdd(r *op.Residual, x *gorgonia.Node, name string) *gorgonia.Node {
	w := b.weight(name, name)
	return b.do(func() (*gorgonia.Node, error) { return r.LinearAdd(x, w) })
}

// block is one layer of the transformer.
func (b *builder) block(x *gorgonia.Node, layer int) *gorgonia.Node {
	return b.do(func() (*gorgonia.Node, error) {
		return op.Block(b.pack, x, func(x *gorgonia.Node) (*gorgonia.Node, error) {
			y := b.feedForward(b.attention(x, layer), layer)
			return y, b.err
		})
	})
}

// attention is x + attention(rotate(norm(x) Wqkv')) Wo'.
func (b *builder) attention(x *gorgonia.Node, layer int) *gorgonia.Node {
	r := op.NewResidual(b.pack, x)
	h := b.norm(r, layerName(layer, "input_layernorm"))
	h = b.linear(h, layerName(layer, "self_attn.q_proj"), layerName(layer, "self_attn.v_proj"))
	h = b.do(func() (*gorgonia.Node, error) { return op.Rotate(b.pack, h, b.heads) })
	h = b.do(func() (*gorgonia.Node, error) { return op.Attention(b.pack, h, b.heads) })
	return b.linearAdd(r, h, layerName(layer, "self_attn.o_proj"))
}

// feedForward is x + swiglu(norm(x) Wgate', norm(x) Wup') Wdown'.
func (b *builder) feedForward(x *gorgonia.Node, layer int) *gorgonia.Node {
	r := op.NewResidual(b.pack, x)
	h := b.norm(r, layerName(layer, "post_attention_layernorm"))
	if b.params.config.MoE.Experts > 0 {
		return b.mixture(r, h, layer)
	}
	h = b.linear(h, layerName(layer, "mlp.gate_proj"), layerName(layer, "mlp.up_proj"))
	h = b.do(func() (*gorgonia.Node, error) { return op.SwiGLU(b.pack, h) })
	return b.linearAdd(r, h, layerName(layer, "mlp.down_proj"))
}

// mixture is x + the sum over the chosen experts e of p_e * swiglu(h W1_e', h W3_e') W2_e', and likewise of the shared ones with p = 1.
func (b *builder) mixture(r *op.Residual, h *gorgonia.Node, layer int) *gorgonia.Node {
	m := b.params.config.MoE
	gate := b.weight(layerName(layer, "block_sparse_moe.gate"), layerName(layer, "block_sparse_moe.gate"))
	if b.err != nil {
		return nil
	}
	var routing *op.Routing
	routing, b.err = op.Route(b.pack, h, gate, op.Mixture{
		Experts: m.Experts, TopK: m.Choices(), Bias: b.params.Tensor(gateBias(layer)), Balance: m.BalanceCoef,
	})
	b.routings = append(b.routings, routing)
	experts := func(x *gorgonia.Node, first, last string) *gorgonia.Node {
		w := b.weight(expertName(layer, 0, first), expertName(layer, m.Experts-1, last))
		return b.do(func() (*gorgonia.Node, error) { return routing.Linear(x, w) })
	}
	y := b.do(routing.Dispatch)
	y = experts(y, "w1", "w3")
	y = b.do(func() (*gorgonia.Node, error) { return op.SwiGLU(b.pack, y) })
	y = experts(y, "w2", "w2")
	var sum *gorgonia.Node
	if m.Shared > 0 {
		name := func(part string) string { return layerName(layer, "block_sparse_moe.shared_experts."+part) }
		w := b.weight(name("gate_proj"), name("up_proj"))
		s := b.do(func() (*gorgonia.Node, error) { return routing.Shared(w) })
		s = b.do(func() (*gorgonia.Node, error) { return op.SwiGLU(b.pack, s) })
		sum = b.linearAdd(r, s, name("down_proj"))
	}
	return b.do(func() (*gorgonia.Node, error) { return routing.Combine(r, sum, y) })
}

// model is the whole policy, from tokens to log-probabilities, entropies and values; detached says that values give the transformer no
// gradient.
func (b *builder) model(temperature float32, detached bool) Outputs {
	c := b.params.config
	embedding := b.weight(nameEmbedding, nameEmbedding)
	x := b.do(func() (*gorgonia.Node, error) { return op.Embed(b.pack, embedding) })
	for layer := range c.Layers {
		x = b.block(x, layer)
	}
	final := b.weight(nameFinalNorm, nameFinalNorm)
	x = b.do(func() (*gorgonia.Node, error) { return op.RMSNorm(b.pack, x, final, c.NormEps) })
	table := embedding
	if c.Untied {
		table = b.weight(nameOutput, nameOutput)
	}
	out := Outputs{pack: b.pack}
	out.Logp = b.do(func() (n *gorgonia.Node, err error) {
		n, out.Entropy, err = op.Score(b.pack, x, table, temperature)
		return n, err
	})
	weight, bias := b.weight(nameValueWeight, nameValueWeight), b.weight(nameValueBias, nameValueBias)
	out.Value = b.do(func() (*gorgonia.Node, error) { return op.Value(b.pack, x, weight, bias, detached) })
	return out
}
