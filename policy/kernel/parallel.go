package kernel

import (
	"runtime"
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
	j, ok := s.jobs.Get().(*parallelJob)
	if !ok {
		j = &parallelJob{done: make(chan struct{}, 1)}
		j.run = func() { s.helpers.help(j) }
	}
	j.n, j.grain, j.f = n, grain, f
	j.next.Store(0)
	j.helping.Store(int64(workers - 1))
	for range workers - 1 - s.helpers.call(j, workers-1) {
		go j.run()
	}
	j.work()
	// A helper whose thread another process keeps from running would be long in coming, and there is nothing left to do.
	j.helping.Add(-int64(s.helpers.dismiss(j)))
	j.wait()
	failure := j.failure.Swap(nil)
	j.f = nil
	s.jobs.Put(j)
	if failure != nil {
		panic(*failure)
	}
}

// parallelJob is one call of Parallel at work. It is used again, so that a call allocates nothing.
type parallelJob struct {
	n, grain int
	f        func(lo, hi int)
	// run helps with this job first, as a value that starting a goroutine needn't make.
	run     func()
	next    atomic.Int64
	failure atomic.Pointer[any]
	// helping is the number of helpers that are not through, and asleep more while the caller sleeps until done.
	helping atomic.Int64
	done    chan struct{}
}

// asleep is more than the number of helpers of any call.
const asleep = 1 << 32

// work does pieces until there are none left.
func (j *parallelJob) work() {
	defer func() {
		if r := recover(); r != nil {
			failure := r
			j.failure.CompareAndSwap(nil, &failure)
			j.next.Store(int64(j.n)) // at least the number of pieces
		}
	}()
	for {
		lo := (int(j.next.Add(1)) - 1) * j.grain
		if lo >= j.n {
			return
		}
		j.f(lo, min(lo+j.grain, j.n))
	}
}

// helped says that a helper is through. The job may be another call's at once.
func (j *parallelJob) helped() {
	if j.helping.Add(-1) == asleep {
		j.done <- struct{}{}
	}
}

// wait returns when all helpers are through.
func (j *parallelJob) wait() {
	for w := (watch{}); j.helping.Load() > 0; {
		if w.over() {
			if j.helping.Add(asleep) > asleep {
				<-j.done
			}
			return
		}
	}
}
