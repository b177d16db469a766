// Package phase tells who measures what the processors are busy with: which piece of work, and which operators in it.
//
// A watcher comes with the context. Where there is none, as in most programs, a phase costs a look into the context and nothing else.
// No result depends on a watcher: it hears of names and never of numbers.
package phase

import "context"

// Watcher hears of pieces of work, from any goroutine.
type Watcher interface {
	// Begin says that a piece of work of that name begins. The context that it returns, derived from ctx, is the work's own.
	Begin(ctx context.Context, name string) (context.Context, Phase)
}

// Phase is a piece of work that is being watched, by one goroutine.
type Phase interface {
	// Lap says that the part of that name has just ended, which began with the phase or the lap before.
	Lap(part string)
	// End says that the work is over.
	End()
}

// key is the watcher's in a context.
type key struct{}

// With is a context whose work w hears of.
func With(ctx context.Context, w Watcher) context.Context { return context.WithValue(ctx, key{}, w) }

// Begin tells ctx's watcher, if it has one, that a piece of work begins. The phase is never nil.
func Begin(ctx context.Context, name string) (context.Context, Phase) {
	if w, ok := ctx.Value(key{}).(Watcher); ok {
		return w.Begin(ctx, name)
	}
	return ctx, unwatched{}
}

// Watched tells whether anybody hears of the phase, so that laps can be left away.
func Watched(p Phase) bool {
	_, nobody := p.(unwatched)
	return !nobody
}

// unwatched is a phase that nobody hears of.
type unwatched struct{}

func (unwatched) Lap(string) {}
func (unwatched) End()       {}
