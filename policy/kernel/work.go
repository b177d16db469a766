package kernel

import "sync"

// works are idle states of one kind of work over rows, whose arguments are an A. They are used again, with the function that goroutines
// are given, so that a call allocates nothing.
type works[A any] struct{ idle sync.Pool }

// work is one call.
type work[A any] struct {
	set   *Set
	args  A
	piece func(s *Set, args *A, lo, hi int)
	run   func(lo, hi int)
}

// parallel is [Set.Parallel] with arguments. piece refers to nothing else.
func (w *works[A]) parallel(s *Set, n, grain int, args A, piece func(s *Set, args *A, lo, hi int)) {
	j, ok := w.idle.Get().(*work[A])
	if !ok {
		j = new(work[A])
		j.run = func(lo, hi int) { j.piece(j.set, &j.args, lo, hi) }
	}
	j.set, j.args, j.piece = s, args, piece
	s.Parallel(n, grain, j.run)
	var none A
	j.args = none
	w.idle.Put(j)
}
