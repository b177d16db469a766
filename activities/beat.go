package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatInterval is how often an activity is heard of; the workflows' heartbeat timeout counts on it.
const beatInterval = 2 * time.Second

// errStopping is what an activity returns when its worker stops: an ordinary error, so that the next worker tries again.
var errStopping = errors.New("worker is stopping")

// drainKey is the key of a worker's drain among the values of its activities' context.
type drainKey struct{}

// WithDrain gives the activities of a worker so long to end by themselves when it stops, before their context ends. It is for the
// worker's background context.
func WithDrain(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, drainKey{}, d)
}

// DrainOf is how long an activity whose worker stops may go on; 0 where it ends at once.
func DrainOf(ctx context.Context) time.Duration {
	d, _ := ctx.Value(drainKey{}).(time.Duration)
	return d
}

// pulse is an activity's heartbeat: the work says how far it is, and a ticker beside it reports.
type pulse struct {
	mu      sync.Mutex
	now     Heartbeat
	began   time.Time
	started time.Time
	// watch hears of progress at once; nil is nobody.
	watch func(Heartbeat)
	// stages times the phases; nil where nobody wants to know.
	stages *stages
}

// beating runs work with a context that ends when the worker stops, and reports its pulse until it is done. An error that comes
// of the worker's stop is errStopping.
func beating(ctx context.Context, phase string, work func(ctx context.Context, p *pulse) error) error {
	p := &pulse{now: Heartbeat{Phase: phase}, began: time.Now(), started: time.Now()}
	if !activity.IsActivity(ctx) {
		return fault(work(ctx, p))
	}
	p.stages, _ = ctx.Value(stagesKey{}).(*stages)
	p.stages.turn(phase)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() {
		ticker := time.NewTicker(beatInterval)
		defer ticker.Stop()
		activity.RecordHeartbeat(ctx, p.read())
		stopping := activity.GetWorkerStopChannel(ctx)
		var drained <-chan time.Time
		for {
			select {
			case <-done:
				return
			case <-stopping:
				stopping = nil
				drained = time.After(DrainOf(ctx))
			case <-drained:
				cancel(errStopping)
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, p.read())
			}
		}
	})
	err := work(ctx, p)
	close(done)
	reporter.Wait()
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return fault(err)
}

// phase starts a new piece of work of the given unit.
func (p *pulse) phase(name, unit string) {
	p.stages.turn(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = Heartbeat{Phase: name, Unit: unit}
	p.began = time.Now()
}

// at says how much of the piece is done.
func (p *pulse) at(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Done, p.now.Total = int64(done), int64(total)
	if seconds := time.Since(p.began).Seconds(); seconds > 0 {
		p.now.Rate = float64(done) / seconds
	}
	if p.watch != nil {
		p.watch(p.now)
	}
}

func (p *pulse) read() Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// seconds is the time since the activity began.
func (p *pulse) seconds() float64 { return time.Since(p.started).Seconds() }
