package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
)

// maxLog is the size, in bytes, at which the log starts afresh and keeps one predecessor.
const maxLog = 16 << 20

// openLog is the logger of the servers and of Temporal's workers. They go to a file, and to standard error as well when that was
// asked for; what a person needs to know is printed by the commands themselves.
func (a *app) openLog(d data) (*slog.Logger, io.Closer, error) {
	if a.verbose {
		return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug})), io.NopCloser(nil), nil
	}
	name := d.log()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, nil, d.fail(err)
	}
	if info, err := os.Stat(name); err == nil && info.Size() > maxLog {
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, nil, d.fail(err)
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, d.fail(err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelWarn})), f, nil
}

// quietLog drops everything.
func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
