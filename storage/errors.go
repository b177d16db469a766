package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// fail says what was being done, and wraps the sentinel that fits unless err wraps one already.
func fail(ctx context.Context, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%s: %w: %w", doing, cause, err)
	}
	if sentinel := classify(err); sentinel != nil {
		return fmt.Errorf("%s: %w: %w", doing, sentinel, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classify finds the sentinel for an error of the driver or the server; nil for an error that has one and for the unknown.
func classify(err error) error {
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded,
		hone.ErrInvalid, hone.ErrNotFound, hone.ErrConflict, hone.ErrNonFinite, hone.ErrCorrupt, hone.ErrUnavailable,
	} {
		if errors.Is(err, known) {
			return nil
		}
	}
	var server *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return hone.ErrNotFound
	case errors.As(err, &server):
		return classifyCode(server.Code)
	case errors.As(err, &connect), errors.As(err, &network), pgconn.SafeToRetry(err),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "closed pool"):
		return hone.ErrUnavailable
	}
	return nil
}

// classifyCode finds the sentinel for a SQLSTATE.
func classifyCode(code string) error {
	switch code {
	case "23503": // foreign key: what it belongs to isn't there
		return hone.ErrNotFound
	case "23505": // unique key
		return hone.ErrConflict
	case "40001", "40P01", "55P03", // serialization, deadlock, lock timeout
		"57014",          // statement timeout: the caller's own cancelling is seen in its context
		"25P03", "57P05", // idle for too long: the process was stopped, or a clock was stepped
		"57P01", "57P02", "57P03": // shutting down, crashed, starting up
		return hone.ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "58": // connection; out of disk, memory or connections; failing input or output
		return hone.ErrUnavailable
	case "22", "23", "28", "3D": // data, constraint, authorization, no such database
		return hone.ErrInvalid
	case "XX": // damaged data or index
		return hone.ErrCorrupt
	}
	return nil
}

// checkText refuses what PostgreSQL can't hold as text.
func checkText(what, s string) error {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return fmt.Errorf("%s has a NUL byte at offset %d, which can't be stored: %w", what, i, hone.ErrInvalid)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not valid UTF-8: %q: %w", what, s, hone.ErrInvalid)
	}
	return nil
}
