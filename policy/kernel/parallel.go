package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Parallel cuts [0, n) into pieces of grain (the last may be shorter) and calls f once for each, on at most GOMAXPROCS
// goroutines. The pieces depend on n and grain alone, so a result is the same for any number of goroutines as long as each piece
// writes its own memory. A panic in f is raised again in the caller. grain below 1 counts as 1.
func (s *Set) Parallel(n, grain int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	pieces := (n + grain - 1) / grain
	workers := min(pieces, runtime.GOMAXPROCS(0))
	if workers == 1 {
		for lo := 0; lo < n; lo += grain {
			f(lo, min(lo+grain, n))
		}
		return
	}
	var (
		next    atomic.Int64
		group   sync.WaitGroup
		failure atomic.Pointer[any]
	)
	work := func() {
		defer func() {
			if r := recover(); r != nil {
				failure.CompareAndSwap(nil, &r)
				next.Store(int64(pieces))
			}
		}()
		for {
			i := int(next.Add(1)) - 1
			if i >= pieces {
				return
			}
			f(i*grain, min((i+1)*grain, n))
		}
	}
	for range workers - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
	if r := failure.Load(); r != nil {
		panic(*r)
	}
}
