package temporallocal

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger passes the server's records on, a step quieter than the server means them: what it calls an error is at most a nuisance
// here, where it retries by itself, and its debug records, which hold the whole configuration, are dropped.
type logger struct {
	slog  *slog.Logger
	state *logState
}

// logState is shared by a logger and all those derived from it.
type logState struct {
	// stopping quietens the errors of a shutdown, which the parts of the server raise against each other.
	stopping atomic.Bool
	mu       sync.Mutex
	fatal    error
}

func newLogger(to *slog.Logger) logger { return logger{slog: to, state: &logState{}} }

func (l logger) log(level slog.Level, msg string, tags []tag.Tag) {
	if !l.slog.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	l.slog.LogAttrs(context.Background(), level, msg, attrs...) //nolint:sloglint // the words are the server's
}

func (l logger) Debug(string, ...tag.Tag)          {}
func (l logger) Info(msg string, tags ...tag.Tag)  { l.log(slog.LevelDebug, msg, tags) }
func (l logger) Warn(msg string, tags ...tag.Tag)  { l.log(slog.LevelDebug, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag) { l.error(msg, tags) }

// DPanic is what the server calls on a broken invariant that it survives in production.
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// Panic must not return: the server relies on it.
func (l logger) Panic(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal must not return either. The server means to end the process; here it ends its own goroutine, which the server's
// lifecycle takes for a failed start, and the reason is kept for the error that Start returns.
func (l logger) Fatal(msg string, tags ...tag.Tag) {
	var text strings.Builder
	text.WriteString(msg)
	for _, t := range tags {
		fmt.Fprintf(&text, " %s=%v", t.Key(), t.Value())
	}
	l.state.mu.Lock()
	if l.state.fatal == nil {
		l.state.fatal = fmt.Errorf("temporal server: %s", text.String()) //nolint:err113 // the words are the server's
	}
	l.state.mu.Unlock()
	l.error(msg, tags)
	runtime.Goexit()
}

// With derives a logger whose records all carry tags.
func (l logger) With(tags ...tag.Tag) log.Logger {
	args := make([]any, 0, len(tags))
	for _, t := range tags {
		args = append(args, slog.Any(t.Key(), t.Value()))
	}
	return logger{slog: l.slog.With(args...), state: l.state}
}

func (l logger) error(msg string, tags []tag.Tag) {
	level := slog.LevelWarn
	if l.state.stopping.Load() {
		level = slog.LevelDebug
	}
	l.log(level, msg, tags)
}

// fatal is the first reason for which the server would have ended the process, or nil.
func (l logger) fatal() error {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.fatal
}
