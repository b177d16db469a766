package temporallocal

import (
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The server ends itself by its logger, at times within a sync.OnceValue, which makes a panic of it.
func TestServerThatGivesUpIsAnError(t *testing.T) {
	t.Parallel()
	errStart := errors.New("no such schema")
	for name, start := range map[string]func(l logger) error{
		"plainly":  func(l logger) error { l.Fatal("port taken"); return nil },
		"in once":  func(l logger) error { return sync.OnceValue(func() error { l.Fatal("port taken"); return nil })() },
		"by error": func(logger) error { return errStart },
		"not":      func(logger) error { return nil },
	} {
		s := &Server{log: newLogger(slog.New(slog.DiscardHandler))}
		err := s.attempt(func() error { return start(s.log) })
		switch name {
		case "not":
			require.NoError(t, err)
		case "by error":
			require.ErrorIs(t, err, errStart)
		default:
			require.ErrorContains(t, err, "port taken", name)
			require.ErrorIs(t, err, errGaveUp, name)
		}
	}
}
