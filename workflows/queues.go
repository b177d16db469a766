package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
)

// Queue is one kind of work of one task queue at a moment, as the server sees it.
type Queue struct {
	Name string `json:"name"`
	// Kind is "workflow" or "activity".
	Kind string `json:"kind"`
	// Backlog is about how many tasks wait, and Age how long the oldest of them has.
	Backlog int64         `json:"backlog"`
	Age     time.Duration `json:"age_ns"`
	// Added and Taken are tasks a second, over the last half minute.
	Added float64 `json:"added"`
	Taken float64 `json:"taken"`
	// Workers have asked for this work within the last minutes, by identity.
	Workers []Worker `json:"workers"`
}

// Worker is a process that takes work.
type Worker struct {
	// Identity is what it calls itself.
	Identity string `json:"identity"`
	// Seen is when it asked last.
	Seen time.Time `json:"seen"`
}

// ReadQueues asks the server of Temporal about queues in a namespace: both kinds of the queue of workflows, the activities of the others.
func ReadQueues(ctx context.Context, c client.Client, namespace string, names []string) ([]Queue, error) {
	var all []Queue
	for _, name := range names {
		kinds := []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_ACTIVITY}
		if name == QueueControl {
			kinds = []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY}
		}
		for _, kind := range kinds {
			q, err := readQueue(ctx, c, namespace, name, kind)
			if err != nil {
				return nil, err
			}
			all = append(all, q)
		}
	}
	return all, nil
}

func readQueue(ctx context.Context, c client.Client, namespace, name string, kind enumspb.TaskQueueType) (Queue, error) {
	q := Queue{Name: name, Kind: strings.ToLower(kind.String()), Workers: []Worker{}}
	answer, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: name}, TaskQueueType: kind, ReportStats: true,
	})
	if err != nil {
		return q, fmt.Errorf("task queue %s: %w: %w", name, hone.ErrUnavailable, err)
	}
	stats := answer.GetStats()
	q.Backlog, q.Age = stats.GetApproximateBacklogCount(), stats.GetApproximateBacklogAge().AsDuration()
	q.Added, q.Taken = float64(stats.GetTasksAddRate()), float64(stats.GetTasksDispatchRate())
	for _, p := range answer.GetPollers() {
		q.Workers = append(q.Workers, Worker{Identity: p.GetIdentity(), Seen: p.GetLastAccessTime().AsTime()})
	}
	slices.SortFunc(q.Workers, func(a, b Worker) int { return strings.Compare(a.Identity, b.Identity) })
	return q, nil
}
