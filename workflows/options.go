package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
)

// The task queues. One process may poll all of them; machines that only sample poll [QueueRollout]; see [Role].
const (
	// QueueControl takes the workflow and the short activities that keep the run's record.
	QueueControl = "hone"
	// QueueRollout takes sampling and evaluation: as many at once as there are machines.
	QueueRollout = "hone-rollout"
	// QueueReward takes scoring, which needs processors but no weights.
	QueueReward = "hone-reward"
	// QueueTrain takes the supervised start and the updates: one at a time a run.
	QueueTrain = "hone-train"
)

const (
	// heartbeatTimeout is how long after its last heartbeat an activity counts as lost and is tried again. After kill -9 of
	// everything, this is what the run waits for.
	heartbeatTimeout = 12 * time.Second
	// heartbeatInterval is how often heartbeats are sent at most, and how long sending one may take before the SDK cancels the
	// activity. Interval and deadline together stay below the timeout, so that one slow heartbeat loses nothing.
	heartbeatInterval = 4 * time.Second
	// stopTimeout is how long a stopping worker waits for its activities, which stop at once on being told.
	stopTimeout = 3 * time.Second
	// stickyTimeout is how long a workflow task waits for the worker that knows the workflow before any other may take it.
	stickyTimeout = 2 * time.Second
)

// payloadTooLarge is the SDK's own error type for an input or result over the server's limit. The SDK would try it for ever.
const payloadTooLarge = "payloadSizeError"

// WorkerOptions are what every worker must agree on, since the workflow's timeouts count on it. [Serve] uses them.
func WorkerOptions() worker.Options {
	return worker.Options{
		MaxHeartbeatThrottleInterval:     heartbeatInterval,
		DefaultHeartbeatThrottleInterval: heartbeatInterval,
		WorkerStopTimeout:                stopTimeout,
		StickyScheduleToStartTimeout:     stickyTimeout,
		DisableRegistrationAliasing:      true,
	}
}

// Register makes a worker run this package's workflows.
func Register(registry worker.WorkflowRegistry) {
	registry.RegisterWorkflow(TrainWorkflow)
	registry.RegisterWorkflow(TuneWorkflow)
}

// call says where an activity runs and how long one attempt may take. There is no limit on the time over all attempts: a machine
// that was off for a week must not fail its run by that.
type call struct {
	queue   string
	timeout time.Duration
	// summary is one line for a person who looks at the history.
	summary string
}

func (c call) context(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           c.queue,
		StartToCloseTimeout: c.timeout,
		HeartbeatTimeout:    heartbeatTimeout,
		// A cancelled run's status is written after its activities have ended, not beside them.
		WaitForCancellation: true,
		RetryPolicy:         retryPolicy(),
		Summary:             c.summary,
	})
}

// retryPolicy is shared by all activities: about a quarter of an hour of trying, which outlasts a restart of Postgres or of a
// machine, unless the error says that trying again can't help.
func retryPolicy() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:    time.Second,
		BackoffCoefficient: 2,
		MaximumInterval:    time.Minute,
		MaximumAttempts:    20,
		NonRetryableErrorTypes: []string{
			activities.ErrorInvalid, activities.ErrorNotFound, activities.ErrorNonFinite, activities.ErrorCorrupt, payloadTooLarge,
		},
	}
}
