package job

import "github.com/hone-rl/hone/policy"

// Passes is how often a step goes through the policy, in forward passes: a backward pass is two of them.
func (t Task) Passes() float64 {
	const forward, gradient = 1, 3
	switch t {
	case Update:
		return forward + forward + gradient
	case Supervised:
		return gradient
	case Sample:
		return forward
	case Peak, Bandwidth, Check, Export:
	}
	return 0
}

// RuleOfThumb is the operations of a training step by the rule of 2 a weight and token forward, 6 with the backward pass. Kaplan et
// al. 2020, arXiv:2001.08361, sec. 2.1. Differs: all weights count, the embedding's too.
func (j Job) RuleOfThumb(c policy.Config) float64 {
	return 2 * float64(c.NumParams()) * float64(j.Tokens()) * j.Task.Passes()
}

// Operations is the exact number of operations of a training step in matrix products and attention, a multiplication with its addition
// counted as 2: the layers' matrices for every token, the output matrix for the completions' tokens, the value head, and attention
// over the positions that the causal mask leaves. The backward pass is twice the forward one; what a fused attention computes again
// in it does not count.
func (j Job) Operations(c policy.Config) float64 {
	width, length := float64(c.Width), float64(j.Length())
	keys := float64(c.KVHeads * c.HeadDim())
	layer := width*(2*width+2*keys) + 3*width*float64(c.Hidden)
	tokens := float64(j.Batch) * length
	products := tokens*(float64(c.Layers)*layer+width) + float64(j.Batch*j.New)*width*float64(c.Vocab)
	pairs := float64(j.Batch) * length * (length + 1) / 2
	attention := 2 * width * pairs * float64(c.Layers)
	return 2 * (products + attention) * j.Task.Passes()
}

// WeightBytes is what a step of sampling reads of the weights at least: all of them once, in float32.
func WeightBytes(c policy.Config) float64 { return 4 * float64(c.NumParams()) }
