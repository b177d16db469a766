package decode

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// Precision is what the weights of matrix products, the rows they multiply, and the keys, values, queries and weights of attention are
// rounded to for sampling. Sums, the residual stream, norms, the embedding, the value head, an expert's router and what is drawn from are
// float32 with each.
type Precision string

// The precisions.
const (
	// Float32 rounds nothing: sampler and learner are one policy to 1e-5. The zero value is the same.
	Float32 Precision = "float32"
	// BF16 rounds to bfloat16, 8 bits: half the memory for weights, and products in the processor's tiles where it has them. The
	// sampler is then a policy of its own: log-probabilities differ from the learner's by about 1e-3 on the mean, and by 0.1 here and there.
	BF16 Precision = "bf16"
)

// Validate refuses other names, wrapping hone.ErrInvalid.
func (p Precision) Validate() error {
	switch p {
	case "", Float32, BF16:
		return nil
	default:
		return fmt.Errorf("precision %q: want %s or %s: %w", string(p), Float32, BF16, hone.ErrInvalid)
	}
}

// Fingerprint is what the kernels' fingerprint becomes when they sample at this precision.
func (p Precision) Fingerprint(kernels string) string {
	if p == BF16 {
		return kernels + " sampler=bf16"
	}
	return kernels
}
