//go:build !linux

package sandbox

import (
	"context"
	"fmt"
	"runtime"

	"github.com/hone-rl/hone"
)

// Run is [hone.ErrUnavailable]: what it is made of is Linux's.
func Run(_ context.Context, p Program, cases []Case) ([]Result, error) {
	if err := p.validate(cases); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return nil, fmt.Errorf("sandbox: programs are run on Linux, this is %s: %w", runtime.GOOS, hone.ErrUnavailable)
}

// Init does nothing here.
func Init() (code int, is bool) { return 0, false }
