package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
)

// fault turns an error into Temporal's: those of the root package's sentinels that trying again can't help keep their name and
// are not retried, the rest are. It is the only place where the one meets the other.
func fault(err error) error {
	if err == nil {
		return nil
	}
	var kind string
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, hone.ErrInvalid):
		kind = ErrorInvalid
	case errors.Is(err, hone.ErrNotFound):
		kind = ErrorNotFound
	case errors.Is(err, hone.ErrNonFinite):
		kind = ErrorNonFinite
	case errors.Is(err, hone.ErrCorrupt):
		kind = ErrorCorrupt
	default:
		return err
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind, temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err})
}
