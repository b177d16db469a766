package kernel

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how often a goroutine of [Set.Parallel] that has nothing to do looks for something before it goes to sleep: some
// millisecond. To wake a sleeping one takes the system up to half of one, as long as many a call, and the next call of a training step or
// of decoding is mostly sooner (doc/adr/0110).
const patience = 2048

// yieldEvery is how many looks are between two offers of the processor to others, some microseconds.
const yieldEvery = 8

// taken is how long after an offer the next one comes at least if others have had the processor meanwhile.
const taken = 100 * time.Microsecond

// helpers are the goroutines of a set that have helped and wait awake for the next call. There are at most as many as have helped at
// once; those that wait in vain end.
type helpers struct {
	lock sync.Mutex
	// free is the number of those that wait and that no call has claimed.
	free int
	jobs []*parallelJob // one for each helper that is claimed
	// queued is len(jobs), to be looked at without the lock.
	queued atomic.Int64
}

// call has up to most waiting helpers help with j, and says how many.
func (h *helpers) call(j *parallelJob, most int) int {
	h.lock.Lock()
	defer h.lock.Unlock()
	n := min(h.free, most)
	h.free -= n
	for range n {
		h.jobs = append(h.jobs, j)
	}
	h.queued.Store(int64(len(h.jobs)))
	return n
}

// help is the life of a helper, from a first job on.
func (h *helpers) help(j *parallelJob) {
	for j != nil {
		j.work()
		h.join() // before the caller, who may call again at once, hears of it
		j.helped()
		j = h.next()
	}
}

// join makes a helper one of those that wait.
func (h *helpers) join() {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.free++
}

// next is the job that a waiting helper is claimed for, nil if it waited in vain.
func (h *helpers) next() *parallelJob {
	for w := (watch{}); ; {
		over := w.over()
		if h.queued.Load() == 0 && !over {
			continue
		}
		if j := h.take(); j != nil || over && h.leave() {
			return j
		}
	}
}

// take is a job that a helper is claimed for, or nil.
func (h *helpers) take() *parallelJob {
	h.lock.Lock()
	defer h.lock.Unlock()
	last := len(h.jobs) - 1
	if last < 0 {
		return nil
	}
	j := h.jobs[last]
	h.jobs[last], h.jobs = nil, h.jobs[:last]
	h.queued.Store(int64(last))
	return j
}

// dismiss lets helpers that are claimed for j and have not begun wait for another call, and says how many.
func (h *helpers) dismiss(j *parallelJob) int {
	if h.queued.Load() == 0 {
		return 0
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	before := len(h.jobs)
	h.jobs = slices.DeleteFunc(h.jobs, func(other *parallelJob) bool { return other == j })
	n := before - len(h.jobs)
	h.free += n
	h.queued.Store(int64(len(h.jobs)))
	return n
}

// leave takes a helper that no call has claimed out of those that wait. It is false if all are claimed: then there is a job to take.
func (h *helpers) leave() bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.free == 0 {
		return false
	}
	h.free--
	return true
}

// watch counts looks at whether there is something to do.
type watch struct {
	looks int
	// offered is when the processor was last offered to others.
	offered time.Time
}

// over lets a moment pass and says whether patience is over. The core's other thread has more of the core in it, and any process and
// goroutine that wants the processor has it. If one keeps it, patience is over: who stays awake and offers it stands behind the others each
// time, where who sleeps comes first when woken.
func (w *watch) over() bool {
	pause()
	if w.looks++; w.looks%yieldEvery == 0 {
		yield()
		runtime.Gosched()
		now := time.Now() //nolint:forbidigo // decides who waits how, and no number
		if w.looks > yieldEvery && now.Sub(w.offered) > taken {
			w.looks = patience
		}
		w.offered = now
	}
	return w.looks >= patience
}
