package kernel

// BFloat16Kernels are the ways to multiply bfloat16 that this machine has, by name.
func BFloat16Kernels() map[string]*Set {
	out := map[string]*Set{}
	for _, h := range allHalves() {
		s := Portable()
		s.halves = h
		out[h.name] = s
	}
	return out
}

// Waiting is the number of helpers of Parallel that wait awake.
func Waiting(s *Set) int {
	s.helpers.lock.Lock()
	defer s.helpers.lock.Unlock()
	return s.helpers.free
}

// AddAbsent makes a set believe in a helper that waits and that never comes.
func AddAbsent(s *Set) { s.helpers.join() }
