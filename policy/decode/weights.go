package decode

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone/policy"
)

// matrix is a weight [in, width], row-major: the transpose of how the policy stores it. Products with few rows are up to three
// times as fast on this one.
type matrix struct {
	in, width int
	// stride is the distance between the rows of what is multiplied with it.
	stride int
	data   []float32
}

// layerWeights are one block's.
type layerWeights struct {
	attnNorm []float32 // [D]
	qkv      matrix    // [D, H*C + 2*G*C]: queries, keys, values
	out      matrix    // [H*C, D]
	mlpNorm  []float32 // [D]
	gate, up matrix    // [D, F], written side by side into [N, 2F]
	down     matrix    // [F, D]
}

// weights are a copy of the policy's parameters.
type weights struct {
	embed     []float32 // [V, D]
	layers    []layerWeights
	norm      []float32 // [D]
	head      matrix    // [D, V], V rounded up with zeros to whole registers
	value     []float32 // [D]
	valueBias float32
}

// headStep is what the width of the head's matrix is a multiple of: results of products of other widths depend on their row
// counts on some processors.
const headStep = 16

func snapshot(params *policy.Params) weights {
	config := params.Config()
	vector := func(name string) []float32 { return slices.Clone(params.Tensor(name)) }
	transposed := func(in int, names ...string) matrix {
		var all []float32
		for _, name := range names {
			all = append(all, params.Tensor(name)...)
		}
		return transpose(all, in, 1)
	}
	w := weights{
		embed:     vector("model.embed_tokens.weight"),
		norm:      vector("model.norm.weight"),
		value:     vector("value_head.weight"),
		valueBias: params.Tensor("value_head.bias")[0],
	}
	head := w.embed
	if config.Untied {
		head = params.Tensor("lm_head.weight")
	}
	w.head = transpose(head, config.Width, headStep)
	for i := range config.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		layer := layerWeights{
			attnNorm: vector(p + "input_layernorm.weight"),
			qkv:      transposed(config.Width, p+"self_attn.q_proj.weight", p+"self_attn.k_proj.weight", p+"self_attn.v_proj.weight"),
			out:      transposed(config.Width, p+"self_attn.o_proj.weight"),
			mlpNorm:  vector(p + "post_attention_layernorm.weight"),
			gate:     transposed(config.Width, p+"mlp.gate_proj.weight"),
			up:       transposed(config.Width, p+"mlp.up_proj.weight"),
			down:     transposed(config.Hidden, p+"mlp.down_proj.weight"),
		}
		layer.gate.stride, layer.up.stride = 2*config.Hidden, 2*config.Hidden
		w.layers = append(w.layers, layer)
	}
	return w
}

// transpose makes [in, width] of [rows, in], width being rows rounded up to a multiple of step; what is added is 0.
func transpose(x []float32, in, step int) matrix {
	rows := len(x) / in
	width := (rows + step - 1) / step * step
	m := matrix{in: in, width: width, stride: width, data: make([]float32, in*width)}
	for i := range rows {
		for j := range in {
			m.data[j*m.width+i] = x[i*in+j]
		}
	}
	return m
}
