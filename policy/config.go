package policy

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Config is the shape of a policy. Two policies of equal Config have interchangeable parameters.
type Config struct {
	// Vocab is V, the number of tokens, as the tokenizer says.
	Vocab int `json:"vocab" yaml:"vocab"`
	// Width is D, the length of a token's vector between the layers; Heads divides it.
	Width int `json:"width" yaml:"width"`
	// Layers is the number of blocks of attention and feed-forward.
	Layers int `json:"layers" yaml:"layers"`
	// Heads is H, the number of query heads; Width/Heads, their length, is even.
	Heads int `json:"heads" yaml:"heads"`
	// KVHeads is K, the number of key and value heads; it divides Heads.
	KVHeads int `json:"kv_heads" yaml:"kv_heads"`
	// Hidden is F, the width inside the feed-forward block, or inside of each of its experts.
	Hidden int `json:"hidden" yaml:"hidden"`
	// Context is the largest number of tokens of a sequence, prompt included.
	Context int `json:"context" yaml:"context"`
	// Window is the number of tokens that each one attends to, itself and the Window-1 before it; 0 means all. Jiang et al.
	// 2023, arXiv:2310.06825, sec. 2.
	Window int `json:"window" yaml:"window"`
	// RopeTheta is the base of the rotary frequencies, > 1.
	RopeTheta float32 `json:"rope_theta" yaml:"rope_theta"`
	// NormEps is added to mean squares in RMSNorm, > 0.
	NormEps float32 `json:"norm_eps" yaml:"norm_eps"`
	// Untied gives the output a matrix of its own instead of the embedding's.
	Untied bool `json:"untied" yaml:"untied"`
	// MoE makes the feed-forward a mixture of experts.
	MoE MoE `json:"moe" yaml:"moe"`
}

// The sizes that [Preset] knows.
const (
	// Preset1M has about a million parameters: the demonstration's, trained in minutes on two cores.
	Preset1M = "1m"
	// Preset10M has about ten million.
	Preset10M = "10m"
)

// DefaultConfig is Preset1M with a vocabulary of 300; set Vocab to the tokenizer's.
func DefaultConfig() Config {
	return Config{
		Vocab: 300, Width: 128, Layers: 5, Heads: 4, KVHeads: 2, Hidden: 344, Context: 512, RopeTheta: 10000, NormEps: 1e-5,
	}
}

// Preset is the configuration of that name with the given vocabulary. An unknown name is hone.ErrNotFound.
func Preset(name string, vocab int) (Config, error) {
	c := DefaultConfig()
	c.Vocab = vocab
	switch name {
	case Preset1M:
		return c, nil
	case Preset10M:
		c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = 384, 6, 6, 2, 1024, 1024
		return c, nil
	default:
		return Config{}, fmt.Errorf("policy preset %q: want %q or %q: %w", name, Preset1M, Preset10M, hone.ErrNotFound)
	}
}

// HeadDim is the length of one head's vector.
func (c Config) HeadDim() int { return c.Width / c.Heads }

// maxDimension keeps products of two dimensions within 32 bits, which the matrix library's interface has.
const maxDimension = 1 << 20

// Validate joins all faults; each wraps hone.ErrInvalid and prints the value.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("policy config: "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	for _, d := range []struct {
		name  string
		value int
	}{
		{"vocab", c.Vocab},
		{"width", c.Width},
		{"layers", c.Layers},
		{"heads", c.Heads},
		{"kv_heads", c.KVHeads},
		{"hidden", c.Hidden},
		{"context", c.Context},
	} {
		if d.value < 1 || d.value > maxDimension {
			fault("%s is %d, must be 1 to %d", d.name, d.value, maxDimension)
		}
	}
	if c.Heads > 0 && (c.Width%c.Heads != 0 || c.Width/c.Heads%2 != 0) {
		fault("width %d over %d heads is %g a head, must be an even whole number", c.Width, c.Heads, float64(c.Width)/float64(c.Heads))
	}
	if c.KVHeads > 0 && c.Heads%c.KVHeads != 0 {
		fault("kv_heads %d must divide heads %d", c.KVHeads, c.Heads)
	}
	if c.Window < 0 || c.Window > maxDimension {
		fault("window is %d, must be 0 (all) to %d", c.Window, maxDimension)
	}
	if !(c.RopeTheta > 1) || math.IsInf(float64(c.RopeTheta), 0) {
		fault("rope_theta is %g, must be more than 1", c.RopeTheta)
	}
	if !(c.NormEps > 0) || math.IsInf(float64(c.NormEps), 0) {
		fault("norm_eps is %g, must be more than 0", c.NormEps)
	}
	return errors.Join(append(faults, c.MoE.validate(c.Hidden))...)
}

// Tensors are the names and shapes of the tensors in their order, without data.
func (c Config) Tensors() []Tensor {
	var tensors []Tensor
	for _, s := range c.layout() {
		tensors = append(tensors, Tensor{Name: s.name, Shape: s.shape})
	}
	return tensors
}

// NumParams is the number of weights, the value head's included.
func (c Config) NumParams() int {
	total := 0
	for _, s := range c.layout() {
		total += s.size()
	}
	return total
}
