package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/hone-rl/hone"
)

// Tensor is one named matrix or vector of a policy.
type Tensor struct {
	// Name is as in Hugging Face's Llama and Mixtral checkpoints, such as "model.layers.0.mlp.up_proj.weight".
	Name string
	// Shape is [out, in] for matrices, [n] for vectors.
	Shape []int
	// Data is row-major, a window on the policy's flat slice: writing to it changes the policy.
	Data []float32
}

// Params are the weights of one policy, or anything of their shape: gradients, moments. All tensors lie in one slice, in the order
// of Tensors. Params are not safe for concurrent writing.
type Params struct {
	config  Config
	flat    []float32
	tensors []Tensor
	index   map[string]int
}

// slot is a tensor without its data.
type slot struct {
	name  string
	shape []int
}

func (s slot) size() int {
	n := 1
	for _, d := range s.shape {
		n *= d
	}
	return n
}

// The names of the tensors that stand alone; those of a layer come from layerName.
const (
	nameEmbedding   = "model.embed_tokens.weight"
	nameFinalNorm   = "model.norm.weight"
	nameOutput      = "lm_head.weight"
	nameValueWeight = "value_head.weight"
	nameValueBias   = "value_head.bias"
)

// The blocks that tensors belong to, beside those of the layers, "layer_0" and so on.
const (
	BlockEmbedding = "embedding"
	BlockFinal     = "final"
	BlockValueHead = "value_head"
)

// Block is the part of the policy that a tensor belongs to: the embedding, a layer, what follows the last layer, or the value head.
func (t Tensor) Block() string {
	switch t.Name {
	case nameEmbedding:
		return BlockEmbedding
	case nameValueWeight, nameValueBias:
		return BlockValueHead
	}
	if rest, ok := strings.CutPrefix(t.Name, "model.layers."); ok {
		number, _, _ := strings.Cut(rest, ".")
		return "layer_" + number
	}
	return BlockFinal
}

func layerName(layer int, part string) string {
	return fmt.Sprintf("model.layers.%d.%s.weight", layer, part)
}

// layout is the order of the tensors. The query, key and value matrices of a layer are neighbours, as are gate and up, so that the graph
// reads each group as one matrix.
func (c Config) layout() []slot {
	kv := c.KVHeads * c.HeadDim()
	slots := []slot{{nameEmbedding, []int{c.Vocab, c.Width}}}
	for l := range c.Layers {
		slots = append(slots,
			slot{layerName(l, "input_layernorm"), []int{c.Width}},
			slot{layerName(l, "self_attn.q_proj"), []int{c.Width, c.Width}},
			slot{layerName(l, "self_attn.k_proj"), []int{kv, c.Width}},
			slot{layerName(l, "self_attn.v_proj"), []int{kv, c.Width}},
			slot{layerName(l, "self_attn.o_proj"), []int{c.Width, c.Width}},
			slot{layerName(l, "post_attention_layernorm"), []int{c.Width}},
		)
		if c.MoE.Experts > 0 {
			slots = append(slots, c.MoE.slots(l, c)...)
			continue
		}
		slots = append(slots,
			slot{layerName(l, "mlp.gate_proj"), []int{c.Hidden, c.Width}},
			slot{layerName(l, "mlp.up_proj"), []int{c.Hidden, c.Width}},
			slot{layerName(l, "mlp.down_proj"), []int{c.Width, c.Hidden}},
		)
	}
	slots = append(slots, slot{nameFinalNorm, []int{c.Width}})
	if c.Untied {
		slots = append(slots, slot{nameOutput, []int{c.Vocab, c.Width}})
	}
	return append(slots, slot{nameValueWeight, []int{c.Width}}, slot{nameValueBias, []int{1}})
}

// NewParams are zeros in the shape of c. The error is that of [Config.Validate].
func NewParams(c Config) (*Params, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newParams(c), nil
}

// newParams is NewParams for a valid configuration.
func newParams(c Config) *Params {
	p := &Params{config: c, flat: make([]float32, c.NumParams()), index: make(map[string]int)}
	at := 0
	for i, s := range c.layout() {
		end := at + s.size()
		p.tensors = append(p.tensors, Tensor{Name: s.name, Shape: s.shape, Data: p.flat[at:end:end]})
		p.index[s.name] = i
		at = end
	}
	return p
}

// Init draws fresh weights from seed: normal with deviation 0.02 for matrices, divided by sqrt(2*Layers) for those that write to the
// residual stream (Radford et al. 2019, sec. 2.3); ones for norms; zeros for the value head, so that the first values are
// exactly 0, and for experts' biases. Each tensor has a stream of its own, named after it.
func Init(c Config, seed uint64) (*Params, error) {
	p, err := NewParams(c)
	if err != nil {
		return nil, err
	}
	const deviation = 0.02
	residual := deviation / math.Sqrt(2*float64(c.Layers))
	for _, t := range p.tensors {
		switch {
		case t.Name == nameValueWeight || strings.HasSuffix(t.Name, "bias"):
		case len(t.Shape) == 1:
			for i := range t.Data {
				t.Data[i] = 1
			}
		case endsResidual(t.Name):
			fillNormal(t, seed, residual)
		default:
			fillNormal(t, seed, deviation)
		}
	}
	return p, nil
}

func endsResidual(name string) bool {
	for _, end := range []string{".o_proj.weight", ".down_proj.weight", ".w2.weight"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func fillNormal(t Tensor, seed uint64, deviation float64) {
	r := hone.Rand(hone.Seed(seed, "policy.init", t.Name))
	for i := range t.Data {
		t.Data[i] = float32(r.NormFloat64() * deviation)
	}
}

// Config is the shape.
func (p *Params) Config() Config { return p.config }

// Flat is all weights in one slice, in the order of Tensors; writing to it changes the policy.
func (p *Params) Flat() []float32 { return p.flat }

// Tensors are all tensors in a fixed order. The slice is the policy's own and must not be changed; the data may be.
func (p *Params) Tensors() []Tensor { return p.tensors }

// Tensor is the data of the named tensor, or nil if the policy has none of that name.
func (p *Params) Tensor(name string) []float32 {
	i, ok := p.index[name]
	if !ok {
		return nil
	}
	return p.tensors[i].Data
}

// Clone is a copy that shares nothing.
func (p *Params) Clone() *Params {
	q := newParams(p.config)
	copy(q.flat, p.flat)
	return q
}

// Digest is the hexadecimal SHA-256 of the names, shapes and bits of all tensors: equal policies have equal digests, on any
// machine.
func (p *Params) Digest() string {
	h := sha256.New()
	buffer := make([]byte, 0, 1<<16)
	flush := func() {
		h.Write(buffer)
		buffer = buffer[:0]
	}
	for _, t := range p.tensors {
		fmt.Fprintf(h, "%q %v\n", t.Name, t.Shape)
		for _, v := range t.Data {
			if len(buffer) == cap(buffer) {
				flush()
			}
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		flush()
	}
	return hex.EncodeToString(h.Sum(nil))
}

// span is the data of the tensors from first to last, which are neighbours, and the number of their rows together.
func (p *Params) span(first, last string) (data []float32, rows int) {
	i, j := p.index[first], p.index[last]
	from := 0
	for _, t := range p.tensors[:i] {
		from += len(t.Data)
	}
	to := from
	for _, t := range p.tensors[i : j+1] {
		to += len(t.Data)
		rows += t.Shape[0]
	}
	return p.flat[from:to], rows
}

// firstNonFinite names the first element that is NaN or infinite.
func (p *Params) firstNonFinite() (name string, index int, found bool) {
	for _, t := range p.tensors {
		for i, v := range t.Data {
			// A difference with itself is 0 for finite numbers and NaN for all others.
			if v-v != 0 {
				return t.Name, i, true
			}
		}
	}
	return "", 0, false
}
