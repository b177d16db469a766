package decode

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone/policy"
)

// layerWeights are one block's, row-major [out, in]. Matrices that read the same input are stacked, so one product serves them.
type layerWeights struct {
	attnNorm []float32 // [D]
	qkv      []float32 // [H*C + 2*G*C, D]: queries, keys, values
	out      []float32 // [D, H*C]
	mlpNorm  []float32 // [D]
	gateUp   []float32 // [2*F, D]: gate, up
	down     []float32 // [D, F]
}

// weights are a copy of the policy's parameters.
type weights struct {
	embed     []float32 // [V, D]
	layers    []layerWeights
	norm      []float32 // [D]
	head      []float32 // [V, D]; embed itself where the policy ties them
	value     []float32 // [D]
	valueBias float32
}

func snapshot(params *policy.Params) weights {
	stack := func(names ...string) []float32 {
		parts := make([][]float32, len(names))
		for i, name := range names {
			parts[i] = params.Tensor(name)
		}
		return slices.Concat(parts...)
	}
	w := weights{
		embed:     stack("model.embed_tokens.weight"),
		norm:      stack("model.norm.weight"),
		value:     stack("value_head.weight"),
		valueBias: params.Tensor("value_head.bias")[0],
	}
	w.head = w.embed
	if params.Config().Untied {
		w.head = stack("lm_head.weight")
	}
	for i := range params.Config().Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		w.layers = append(w.layers, layerWeights{
			attnNorm: stack(p + "input_layernorm.weight"),
			qkv:      stack(p+"self_attn.q_proj.weight", p+"self_attn.k_proj.weight", p+"self_attn.v_proj.weight"),
			out:      stack(p + "self_attn.o_proj.weight"),
			mlpNorm:  stack(p + "post_attention_layernorm.weight"),
			gateUp:   stack(p+"mlp.gate_proj.weight", p+"mlp.up_proj.weight"),
			down:     stack(p + "mlp.down_proj.weight"),
		})
	}
	return w
}
