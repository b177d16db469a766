package reward

import (
	"context"
	"time"
)

// Usage is what an answer took when it was measured.
type Usage struct {
	// Wall is time that passed; 0 where nobody measured.
	Wall time.Duration
	// Memory is in bytes; 0 where nobody measured.
	Memory int64
}

type usageKey struct{}

// WithUsage is a context whose layers know what the answer took; a layer that measures it itself says so with [Measured].
func WithUsage(ctx context.Context, u Usage) context.Context {
	return context.WithValue(ctx, usageKey{}, u)
}

// Measured tells the layers after it in the stack what the answer took.
func Measured(ctx context.Context, u Usage) {
	if r, ok := ctx.Value(readingKey{}).(*reading); ok {
		r.usage = &u
	}
}

// UsageOf is what the answer took; the zero Usage where nobody measured.
func UsageOf(ctx context.Context) Usage {
	if r, ok := ctx.Value(readingKey{}).(*reading); ok && r.usage != nil {
		return *r.usage
	}
	u, _ := ctx.Value(usageKey{}).(Usage)
	return u
}

// Unrepeatable is a layer whose judgement can't be had again, since it is of something that happened once. A replay takes the stored
// terms, and says so.
type Unrepeatable interface {
	Layer
	// Unrepeatable says why, for a person.
	Unrepeatable() string
}
