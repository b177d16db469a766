package hone

import "errors"

// The errors that callers tell apart with [errors.Is]. Everything that hone returns wraps one of these or stands for itself.
var (
	// ErrInvalid is bad input: a configuration, a puzzle, a file. Trying again can't help.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound is a run, version, trajectory or blob that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict is a write that another writer got to first, or that differs from what is already stored.
	ErrConflict = errors.New("conflict")
	// ErrNonFinite is a NaN or an infinity where a number was needed; it names tensor, index and step.
	ErrNonFinite = errors.New("non-finite")
	// ErrCorrupt is stored data whose digest or structure is wrong.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnavailable is a server or a resource that can't be reached now; trying again may help.
	ErrUnavailable = errors.New("unavailable")
)
