package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hone-rl/hone"
)

// Format is how lines of log are written.
type Format string

// The formats.
const (
	// FormatText is key=value, for people.
	FormatText Format = "text"
	// FormatJSON is an object a line, for collectors.
	FormatJSON Format = "json"
)

// NewLogger writes lines of a level and above to w. The keys that Temporal's SDK writes in its own style, such as WorkflowID, are
// written in hone's: one thing has one name on every line. [hone.ErrInvalid]: an unknown format.
func NewLogger(w io.Writer, f Format, level slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: rename}
	switch f {
	case FormatText:
		return slog.New(slog.NewTextHandler(w, options)), nil
	case FormatJSON:
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("log format %q: want %s or %s: %w", f, FormatText, FormatJSON, hone.ErrInvalid)
	}
}

// ParseLevel reads debug, info, warn or error. Anything else is [hone.ErrInvalid].
func ParseLevel(name string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(name, level.String()) {
			return level, nil
		}
	}
	return 0, fmt.Errorf("log level %q: want debug, info, warn or error: %w", name, hone.ErrInvalid)
}

// rename writes the keys of Temporal's SDK as doc/metrics.md has them.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case "WorkflowID":
		a.Key = "workflow_id"
	case "RunID":
		a.Key = "workflow_run_id"
	case "WorkflowType":
		a.Key = "workflow_type"
	case "ActivityID":
		a.Key = "activity_id"
	case "ActivityType":
		a.Key = "activity"
	case "TaskQueue":
		a.Key = "task_queue"
	case "WorkerID":
		a.Key = "worker"
	case "Namespace":
		a.Key = "namespace"
	case "Attempt":
		a.Key = "attempt"
	case "Error":
		a.Key = "error"
	case "TraceID":
		a.Key = "trace_id"
	case "SpanID":
		a.Key = "span_id"
	}
	return a
}
