package weights

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// The metadata that this package writes itself. Names that begin with reserved are not for callers.
const (
	reserved = "hone."
	// keyConfig holds the policy's Config as JSON.
	keyConfig = reserved + "config"
	// keyDigest holds the digest of the values: of the policy, or of both moments.
	keyDigest = reserved + "digest"
	// keyStep holds the optimiser's step.
	keyStep = reserved + "step"
	// keyFormat tells transformers how the tensors are laid out: as PyTorch's are.
	keyFormat   = "format"
	valueFormat = "pt"
)

// Save writes a policy. meta is free text that Load gives back; keys that begin with "hone." and the key "format" are hone.ErrInvalid.
func Save(w io.Writer, params *policy.Params, meta map[string]string) error {
	all, err := describe(params.Config(), params.Digest(), meta)
	if err != nil {
		return fmt.Errorf("save policy: %w", err)
	}
	return write(w, named("", params), all)
}

// Load reads what Save wrote: the policy, and the caller's metadata. Damage is hone.ErrCorrupt; the reader's own errors are handed
// on.
func Load(r io.Reader) (*policy.Params, map[string]string, error) {
	f, err := open(r, "")
	if err != nil {
		return nil, nil, fmt.Errorf("load policy: %w", err)
	}
	params, err := f.params(f.data)
	if err != nil {
		return nil, nil, fmt.Errorf("load policy: %w", err)
	}
	if digest := params.Digest(); digest != f.digest {
		return nil, nil, fmt.Errorf("load policy: digest is %s, the file says %s: %w", digest, f.digest, hone.ErrCorrupt)
	}
	return params, f.meta, nil
}

// named are the tensors of p with a prefix to their names.
func named(prefix string, p *policy.Params) []tensor {
	var out []tensor
	for _, t := range p.Tensors() {
		out = append(out, tensor{prefix + t.Name, t.Shape, t.Data})
	}
	return out
}

// describe is the caller's metadata with ours.
func describe(c policy.Config, digest string, meta map[string]string) (map[string]string, error) {
	config, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	all := map[string]string{keyConfig: string(config), keyDigest: digest, keyFormat: valueFormat}
	for k, v := range meta {
		if strings.HasPrefix(k, reserved) || k == keyFormat {
			return nil, fmt.Errorf("metadata key %q is taken: %w", k, hone.ErrInvalid)
		}
		all[k] = v
	}
	return all, nil
}

// file is a file whose structure has been checked, but not yet its digest.
type file struct {
	config policy.Config
	digest string
	step   string
	// meta is the caller's.
	meta map[string]string
	data []float32
}

// open reads a file that holds a policy once for each prefix, in their order.
func open(r io.Reader, prefixes ...string) (*file, error) {
	entries, meta, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	f := &file{digest: meta[keyDigest], step: meta[keyStep], meta: maps.Clone(meta)}
	if err := strict([]byte(meta[keyConfig]), &f.config); err != nil {
		return nil, fmt.Errorf("metadata %s: %w: %w", keyConfig, err, hone.ErrCorrupt)
	}
	if err := f.config.Validate(); err != nil {
		return nil, fmt.Errorf("metadata %s: %w: %w", keyConfig, err, hone.ErrCorrupt)
	}
	maps.DeleteFunc(f.meta, func(k, _ string) bool { return strings.HasPrefix(k, reserved) || k == keyFormat })
	// The layers and experts are counted before their tensors are listed, since the numbers may be anything.
	if f.config.Layers*max(1, f.config.MoE.Experts) > len(entries) {
		return nil, fmt.Errorf("%d tensors can't be %d layers of %d experts: %w",
			len(entries), f.config.Layers, f.config.MoE.Experts, hone.ErrCorrupt)
	}
	var want []tensor
	for _, prefix := range prefixes {
		for _, t := range f.config.Tensors() {
			want = append(want, tensor{name: prefix + t.Name, shape: t.Shape})
		}
	}
	expected, size, err := places(want)
	if err != nil {
		return nil, err
	}
	if err := match(entries, expected); err != nil {
		return nil, err
	}
	f.data, err = readData(r, size)
	return f, err
}

// params is a policy of the file's shape with these values.
func (f *file) params(values []float32) (*policy.Params, error) {
	p, err := policy.NewParams(f.config)
	if err != nil {
		return nil, err
	}
	copy(p.Flat(), values)
	return p, nil
}
