package decode

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// layerWeights are one block's.
type layerWeights struct {
	attnNorm []float32      // [D]
	qkv      *kernel.Weight // [H*C + 2*G*C, D]: queries, keys, values
	out      *kernel.Weight // [D, H*C]
	mlpNorm  []float32      // [D]
	// mlp is the dense feed-forward, or that of the shared experts; it is empty where there is none.
	mlp     feedForwardWeights
	mixture mixtureWeights
}

// weights are a copy of the policy's parameters.
type weights struct {
	embed     []float32 // [V, D]
	layers    []layerWeights
	norm      []float32      // [D]
	head      *kernel.Weight // [V, D]
	value     []float32      // [D]
	valueBias float32
	// size is the memory of all of them, in float32.
	size int
}

func snapshot(params *policy.Params, set *kernel.Set, precision Precision) weights {
	config := params.Config()
	vector := func(name string) []float32 { return slices.Clone(params.Tensor(name)) }
	pack := set.NewWeight
	if precision == BF16 {
		pack = set.NewBFloat16Weight
	}
	matrix := func(in int, names ...string) *kernel.Weight {
		var all []float32
		for _, name := range names {
			all = append(all, params.Tensor(name)...)
		}
		return pack(all, in)
	}
	w := weights{
		embed:     vector("model.embed_tokens.weight"),
		norm:      vector("model.norm.weight"),
		value:     vector("value_head.weight"),
		valueBias: params.Tensor("value_head.bias")[0],
		size:      config.NumParams(),
	}
	if precision == BF16 {
		w.size /= 2
	}
	head := w.embed
	if config.Untied {
		head = params.Tensor("lm_head.weight")
	}
	w.head = pack(head, config.Width)
	for i := range config.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		layer := layerWeights{
			attnNorm: vector(p + "input_layernorm.weight"),
			qkv:      matrix(config.Width, p+"self_attn.q_proj.weight", p+"self_attn.k_proj.weight", p+"self_attn.v_proj.weight"),
			out:      matrix(config.Width, p+"self_attn.o_proj.weight"),
			mlpNorm:  vector(p + "post_attention_layernorm.weight"),
		}
		layer.mlp, layer.mixture = feedForwards(params, i, matrix)
		w.layers = append(w.layers, layer)
	}
	return w
}
