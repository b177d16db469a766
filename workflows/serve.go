package workflows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// Service says which work a process takes.
type Service struct {
	// Queues are those polled, each once; empty means all. Every queue needs a process that polls it, or runs wait. See [Queues].
	Queues []string
	// Rollouts is how many activities of [QueueRollout] run at once, >= 0; 0 means 1.
	Rollouts int
	// Drain is how long activities under way may go on once Serve is to end, >= 0, before they are told to stop; 0 stops them at once.
	Drain time.Duration
	// Build is what Temporal knows the process's build by; zero for nothing.
	Build Build
	// Activities is the struct whose exported methods are the activities: *activities.Activities, or a double in a test.
	Activities any
}

// Serve takes work from Temporal until ctx ends, and then gives back what is unfinished: it takes nothing new, activities have s.Drain to
// end by themselves and are then told to stop, and their next attempt goes to whoever serves next. It returns within a few seconds of
// that, nil unless a worker could not start or failed for good.
func Serve(ctx context.Context, c client.Client, s Service) error {
	queues := s.Queues
	if len(queues) == 0 {
		queues = AllQueues()
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	workers := make([]worker.Worker, 0, len(queues))
	// All at once: each may take as long as its activities.
	stop := func() {
		var wait sync.WaitGroup
		for _, w := range workers {
			wait.Go(w.Stop)
		}
		wait.Wait()
	}
	for _, queue := range queues {
		options := WorkerOptions()
		options.Interceptors = append(options.Interceptors, new(activities.Observer))
		options.DeploymentOptions = s.Build.options()
		options.WorkerStopTimeout = s.Drain + stopTimeout
		// Values alone: activities end when the worker tells them to, not when ctx does.
		options.BackgroundActivityContext = activities.WithDrain(context.WithoutCancel(ctx), s.Drain)
		switch queue {
		case QueueControl, QueueReward:
		case QueueRollout:
			options.MaxConcurrentActivityExecutionSize = max(1, s.Rollouts)
		case QueueTrain:
			options.MaxConcurrentActivityExecutionSize = 1
		default:
			stop()
			return fmt.Errorf("task queue %q: want one of %v: %w", queue, AllQueues(), hone.ErrInvalid)
		}
		options.OnFatalError = func(err error) { fail(fmt.Errorf("worker of queue %s: %w", queue, err)) }
		w := worker.New(c, queue, options)
		if queue == QueueControl {
			Register(w)
		}
		w.RegisterActivity(s.Activities)
		if err := w.Start(); err != nil {
			stop()
			return fmt.Errorf("start worker of queue %s: %w: %w", queue, err, hone.ErrUnavailable)
		}
		workers = append(workers, w)
	}
	<-ctx.Done()
	stop()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}
