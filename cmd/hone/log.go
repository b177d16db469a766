package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hone-rl/hone/telemetry"
)

// maxLog is the size, in bytes, at which the log starts afresh and keeps one predecessor.
const maxLog = 16 << 20

// openLog is the logger of the servers and of Temporal's workers. They go to a file, and to standard error as well when that was
// asked for; what a person needs to know is printed by the commands themselves.
func (a *app) openLog(d data) (*slog.Logger, io.Closer, error) {
	level, toTerminal, err := a.level()
	if err != nil {
		return nil, nil, err
	}
	if toTerminal {
		log, err := telemetry.NewLogger(a.stderr, telemetry.Format(a.logFormat), level)
		return log, io.NopCloser(nil), err
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
	log, err := telemetry.NewLogger(f, telemetry.Format(a.logFormat), level)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return log, f, nil
}

// level is the least of lines that are written, and whether they go to standard error.
func (a *app) level() (level slog.Level, toTerminal bool, err error) {
	switch {
	case a.logLevel != "":
		level, err = telemetry.ParseLevel(a.logLevel)
		return level, true, err
	case a.verbose:
		return slog.LevelDebug, true, nil
	default:
		return slog.LevelWarn, false, nil
	}
}

// quietLog drops everything.
func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
