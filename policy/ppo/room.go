package ppo

// arena is memory for many short slices that live as long as each other.
type arena[T any] struct {
	free []T
	made int
}

// take is n zeros.
func (a *arena[T]) take(n int) []T {
	const least = 64
	if n > len(a.free) {
		a.free = make([]T, max(n, least, a.made))
		a.made += len(a.free)
	}
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}

// room is the memory of the samples of one update.
type room struct {
	samples arena[sample]
	floats  arena[float64]
	ints    arena[int]
}

// newRoom has room for what most updates need.
func newRoom(scored []Scored) *room {
	tokens, steps := 0, 0
	for i := range scored {
		tokens += len(scored[i].Trajectory.Tokens)
		steps += len(scored[i].Trajectory.Steps)
	}
	const columns = 5 // log-probabilities of sampler and reference, values, rewards of the task and with the charge
	return &room{
		samples: arena[sample]{free: make([]sample, len(scored))}, floats: arena[float64]{free: make([]float64, columns*tokens)},
		ints: arena[int]{free: make([]int, steps)},
	}
}
