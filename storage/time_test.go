package storage_test

import (
	"context"
	"testing"
	"time"
)

const hour = time.Hour

// background is for cleaning up after the test's own context has ended.
func background(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }
