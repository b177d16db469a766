//go:build !amd64

package decode

import "github.com/hone-rl/hone/policy/kernel"

// fastAttention says that there is no assembly for this processor.
func fastAttention(*kernel.Set, int) (attention, bool) { return attention{}, false }
