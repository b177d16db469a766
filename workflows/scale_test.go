package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// What doc/scale.md says of a history.
const (
	// eventsPerActivity are scheduled, started and completed, as many of the workflow task that follows, and the timer after which a shard
	// is issued again, which is started and cancelled.
	eventsPerActivity = 8
	// bytesPerActivity is what they and the activity's input and output take, in Temporal's own encoding.
	bytesPerActivity = 2600
	// eventsBeside and bytesBeside are the beginning and the end of an execution, with what it is started with.
	eventsBeside, bytesBeside = 30, 16 << 10
	// eventsSuggested is where the server asks a workflow to go on as a new execution.
	eventsSuggested = 4096
)

// The sizes that doc/scale.md calculates with hold for every history that a server has recorded.
func TestHistoriesTakeWhatIsStated(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(historiesDir, "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		history := savedHistory(t, file)
		count, others := 0, 0
		for _, e := range history.GetEvents() {
			switch e.GetEventType() {
			case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
				count++
			case enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
				others++ // one a cycle, and one a change of status
			case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
				others += 5
			default:
			}
		}
		bytes := proto.Size(history)
		t.Logf("%s: %d events, %d bytes, %d activities: %.1f events and %d bytes each", filepath.Base(file),
			len(history.GetEvents()), bytes, count, float64(len(history.GetEvents()))/float64(count), bytes/count)
		require.LessOrEqual(t, len(history.GetEvents()), eventsPerActivity*count+others+eventsBeside, file)
		require.LessOrEqual(t, bytes, bytesPerActivity*count+bytesBeside+800*others, file)
	}
}

// simulated answers for package activities at once, and counts what it is asked. Shards and evaluations come side by side.
type simulated struct {
	calls atomic.Int64
	head  int
}

func (s *simulated) Prepare(context.Context, activities.PrepareInput) (activities.PrepareOutput, error) {
	s.calls.Add(1)
	return activities.PrepareOutput{Run: runID, Version: s.head}, nil // the supervised start was made elsewhere
}

func (s *simulated) RolloutShard(context.Context, activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
	s.calls.Add(1)
	return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100, Stopped: 8}, nil
}

func (s *simulated) Score(context.Context, activities.ScoreInput) (activities.ScoreOutput, error) {
	s.calls.Add(1)
	return activities.ScoreOutput{Trajectories: 24}, nil
}

func (s *simulated) Update(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
	s.calls.Add(1)
	s.head = in.Iteration + 1
	return activities.UpdateOutput{Version: s.head}, nil
}

func (s *simulated) Evaluate(_ context.Context, in activities.EvaluateInput) (activities.Evaluation, error) {
	s.calls.Add(1)
	return activities.Evaluation{Version: in.Version, Split: in.Split, Mode: in.Mode, Problems: 10}, nil
}

func (s *simulated) Publish(context.Context, activities.PublishInput) (activities.PublishOutput, error) {
	s.calls.Add(1)
	return activities.PublishOutput{}, nil
}

func (s *simulated) Finish(context.Context, activities.FinishInput) error {
	s.calls.Add(1)
	return nil
}

// chain runs a run's executions until its plan is done, and returns their number and the most activities of one.
func chain(t *testing.T, plan workflows.Plan) (executions, most int) {
	t.Helper()
	in := workflows.TrainInput{Run: "demo", Config: json.RawMessage(`{}`), Plan: plan}
	for world := (&simulated{}); ; {
		suite := testsuite.WorkflowTestSuite{}
		suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		env.RegisterActivity(world)
		env.SetTestTimeout(time.Minute)
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
		before := world.calls.Load()
		env.ExecuteWorkflow(workflows.TrainWorkflow, in)
		executions++
		most = max(most, int(world.calls.Load()-before))
		err := env.GetWorkflowError()
		if err == nil {
			var result workflows.TrainResult
			require.NoError(t, env.GetWorkflowResult(&result))
			require.Equal(t, plan.Cycles, result.Version)
			return executions, most
		}
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, err, &next)
		in = workflows.TrainInput{} // a list that is decoded into keeps what it had
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	}
}

// Ten thousand cycles of the default plan go through two hundred executions, none of which has a history near what the server bears.
func TestTenThousandCyclesKeepTheirHistoriesShort(t *testing.T) {
	t.Parallel()
	plan := workflows.DefaultPlan()
	plan.Cycles, plan.EvalEvery = 10_000, 100
	if testing.Short() {
		plan.Cycles = 500
	}
	executions, most := chain(t, plan)
	require.Equal(t, plan.Cycles/plan.ContinueEvery, executions)
	require.LessOrEqual(t, most*eventsPerActivity+eventsBeside+plan.ContinueEvery, eventsSuggested, "%d activities in one execution", most)
	require.LessOrEqual(t, most*bytesPerActivity+bytesBeside, 1<<20)
}
