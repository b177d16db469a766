//go:build !(linux || darwin || freebsd)

package kernel

import (
	"fmt"
	"runtime"

	"github.com/hone-rl/hone"
)

type library struct{ core, config string }

func (*library) gemm(Product, []float32, []float32, []float32) {}

// openLibrary says that this system has no way to open a library.
func openLibrary() (*library, error) {
	return nil, fmt.Errorf("open OpenBLAS on %s: %w", runtime.GOOS, hone.ErrUnavailable)
}
