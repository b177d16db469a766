// Package policy is the language model that hone trains: a decoder-only transformer in the manner of Llama (RMSNorm, rotary
// positions, grouped-query causal attention with or without a window, SwiGLU or a mixture of experts, tied or untied output) with a value
// head beside the output.
//
// [Config] is its shape, [Params] its weights over one flat slice. A [Trainer] builds the forward pass as a Gorgonia graph of the
// fused operators in policy/op, differentiates it, and runs it on packed batches: [Trainer.Gradient] adds the gradient of a
// [Loss] to what is there, [Trainer.Evaluate] scores given tokens without a backward pass. [AdamW] and [Schedule] turn gradients
// into steps. Sampling, with its cache of keys and values, is policy/decode's; both use the functions of policy/kernel and agree
// to float32 rounding.
//
// The package reads no file, knows no task and no reward. Everything in it is a function of its inputs: two runs on the same
// kernels give the same bits, whatever GOMAXPROCS.
//
// Letters in shapes: N tokens of a packed batch, B sequences, V vocabulary, D width, H query heads, K key heads, F hidden width.
package policy
