//go:build e2e

package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/workflows"
	"github.com/hone-rl/hone/workflows/temporallocal"
)

// fakes answers for package activities: it keeps the runs' heads and statuses in memory and does no work.
type fakes struct {
	mu       sync.Mutex
	heads    map[hone.RunID]int
	statuses map[hone.RunID]activities.FinishInput
	// uniform is the run each of whose cycles asks for two further rounds; poison is the run whose updates find a NaN; gate is the run
	// whose updates heartbeat until one value is sent to open.
	uniform, poison, gate hone.RunID
	open                  chan struct{}
	// ahead is the run whose samples may be behind by a version, sampled are the versions that sampled its cycles.
	ahead   hone.RunID
	sampled map[int]int
	// slow is the run whose first worker of a shard makes no progress until it is told to stop; taken is set when it has the shard.
	slow  hone.RunID
	taken bool
	// drain is what a shard was told of its worker's.
	drain time.Duration
}

func (f *fakes) Prepare(_ context.Context, in activities.PrepareInput) (activities.PrepareOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	run := hone.RunID("id-of-" + in.Name)
	if _, ok := f.heads[run]; !ok {
		f.heads[run] = -1
	}
	out := activities.PrepareOutput{Run: run, Version: f.heads[run], Manifest: "head"}
	if run == f.ahead {
		out.Staleness = 1
	}
	return out, nil
}

func (f *fakes) SupervisedStart(_ context.Context, in activities.SupervisedStartInput) (activities.SupervisedStartOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[in.Run] = 0
	return activities.SupervisedStartOutput{Manifest: "start", Examples: 100, Loss: 0.5}, nil
}

func (f *fakes) RolloutShard(ctx context.Context, in activities.RolloutShardInput) (activities.RolloutShardOutput, error) {
	f.mu.Lock()
	f.drain = activities.DrainOf(ctx)
	if in.Run == f.ahead {
		f.sampled[in.Iteration] = in.Behaviour
	}
	stuck := in.Run == f.slow && !f.taken
	f.taken = f.taken || stuck
	f.mu.Unlock()
	for tick := time.NewTicker(100 * time.Millisecond); stuck; {
		activity.RecordHeartbeat(ctx, activities.Heartbeat{Phase: "sample", Total: 8, Unit: "trajectories"})
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return activities.RolloutShardOutput{}, ctx.Err()
		}
	}
	return activities.RolloutShardOutput{Prompts: 2, Trajectories: 8, Tokens: 100}, nil
}

func (f *fakes) Score(_ context.Context, in activities.ScoreInput) (activities.ScoreOutput, error) {
	out := activities.ScoreOutput{Trajectories: 24, Outcomes: activities.Outcomes{Right: 6, Wrong: 18}, Reward: 0.25}
	if in.Run == f.uniform && in.Round.Number < 2 {
		out.Next = activities.Round{Number: in.Round.Number + 1, From: 6 + 2*in.Round.Number, To: 8 + 2*in.Round.Number}
	}
	return out, nil
}

func (f *fakes) Update(ctx context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
	if in.Run == f.poison {
		return activities.UpdateOutput{}, temporal.NewApplicationError("loss is NaN at step 3: non-finite", activities.ErrorNonFinite)
	}
	if in.Run == f.gate {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for waiting := true; waiting; {
			activity.RecordHeartbeat(ctx, activities.Heartbeat{Phase: "epoch 1 of 2", Done: 3, Total: 4, Unit: "minibatches"})
			select {
			case <-tick.C:
			case <-f.open:
				waiting = false
			case <-ctx.Done():
				return activities.UpdateOutput{}, ctx.Err()
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[in.Run] = in.Iteration + 1
	return activities.UpdateOutput{Version: in.Iteration + 1, Manifest: "trained", Trajectories: 24, KL: 0.01}, nil
}

func (f *fakes) Evaluate(_ context.Context, in activities.EvaluateInput) (activities.Evaluation, error) {
	return activities.Evaluation{Version: in.Version, Split: in.Split, Mode: in.Mode, Problems: 10}, nil
}

func (f *fakes) Publish(context.Context, activities.PublishInput) (activities.PublishOutput, error) {
	return activities.PublishOutput{Manifest: "published", Weights: "weights"}, nil
}

func (f *fakes) Finish(_ context.Context, in activities.FinishInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses[in.Run] = in
	return nil
}

func (f *fakes) Change(_ context.Context, in activities.ChangeInput) (activities.ChangeOutput, error) {
	if in.Set[0].Key != "ppo.epochs" {
		return activities.ChangeOutput{}, temporal.NewApplicationError("prompts can't change within a run: invalid", activities.ErrorInvalid)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return activities.ChangeOutput{Changes: []activities.Changed{{
		Key: in.Set[0].Key, Old: json.RawMessage("1"), New: in.Set[0].Value, Iteration: f.heads[in.Run] + 1,
	}}}, nil
}

func (f *fakes) RollBack(_ context.Context, in activities.RollBackInput) (activities.RollBackOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[in.Run] = in.From + 1
	return activities.RollBackOutput{Version: in.From + 1, Manifest: "older"}, nil
}

func (f *fakes) status(run hone.RunID) activities.FinishInput {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statuses[run]
}

func newFakes() *fakes {
	return &fakes{
		heads: map[hone.RunID]int{}, statuses: map[hone.RunID]activities.FinishInput{},
		uniform: "id-of-uniform", poison: "id-of-poison", gate: "id-of-gate", open: make(chan struct{}),
		ahead: "id-of-ahead", sampled: map[int]int{}, slow: "id-of-slow",
	}
}

// postgres starts a Postgres in a folder.
func postgres(t *testing.T, dir string) *pglocal.Server {
	t.Helper()
	if _, err := pglocal.Find("", ""); err != nil {
		t.Skipf("no Postgres binaries: %v", err)
	}
	pg, err := pglocal.Start(t.Context(), pglocal.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop(context.Background())) })
	return pg
}

// drain is how long activities may go on when their worker stops.
const drain = 100 * time.Millisecond

// serve starts the real server on a Postgres, a client, and workers of all queues.
func serve(t *testing.T, pg *pglocal.Server, act any) client.Client {
	t.Helper()
	server, err := temporallocal.Start(t.Context(), temporallocal.Options{
		URL: pg.URL("postgres"), SearchAttributes: workflows.SearchAttributes(),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		began := time.Now()
		require.NoError(t, server.Stop())
		t.Logf("server stopped in %v", time.Since(began))
	})
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Identity: "end-to-end", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // The test ends it, in order.
	ended := make(chan error, 1)
	go func() {
		ended <- workflows.Serve(ctx, c, workflows.Service{Rollouts: 2, Drain: drain, Activities: act})
	}()
	t.Cleanup(func() {
		cancel()
		began := time.Now()
		require.NoError(t, <-ended)
		t.Logf("workers stopped in %v", time.Since(began))
	})
	return c
}

func named(run string, cycles int) workflows.TrainInput {
	in := input(cycles)
	in.Run = run
	return in
}

func begin(t *testing.T, c client.Client, in workflows.TrainInput) *workflows.Training {
	t.Helper()
	training, err := workflows.StartTrain(t.Context(), c, in)
	require.NoError(t, err)
	return training
}

// TestEndToEnd drives the workflow through its client functions on a real server.
func TestEndToEnd(t *testing.T) { //nolint:tparallel // the cases share one server and its fakes
	t.Parallel()
	f := newFakes()
	c := serve(t, postgres(t, t.TempDir()), f)

	t.Run("a run goes through, and the same command again finds nothing to do", func(t *testing.T) {
		result, err := begin(t, c, named("whole", 2)).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, result.Version)
		require.Equal(t, activities.StatusSucceeded, f.status("id-of-whole").Status)
		require.Equal(t, drain, f.drain)
		record(t, c, "whole", "from_nothing_to_published")

		again := begin(t, c, named("whole", 2))
		require.False(t, again.Attached)
		result, err = again.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, result.Version)
		require.Nil(t, result.Last)
		record(t, c, "whole", "nothing_left_to_do")

		status, err := workflows.ReadStatus(t.Context(), c, "whole")
		require.NoError(t, err)
		require.Equal(t, "completed", status.State)
	})

	t.Run("a long run continues as new", func(t *testing.T) {
		in := named("long", 5)
		in.Plan.ContinueEvery = 2
		result, err := begin(t, c, in).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 5, result.Version)
		require.Equal(t, 4, result.Last.Iteration)
		record(t, c, "long", "continued_from_another")
		description, err := c.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID("long"), "")
		require.NoError(t, err)
		recordExecution(t, c, "long", description.GetWorkflowExecutionInfo().GetFirstRunId(), "continues_as_new")
	})

	t.Run("a cycle is topped up in rounds", func(t *testing.T) {
		result, err := begin(t, c, named("uniform", 1)).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3+2+2, result.Last.Rollout.Prompts/2)
		record(t, c, "uniform", "topped_up_in_rounds")
	})

	t.Run("the next cycle is sampled while one is learned from", func(t *testing.T) {
		result, err := begin(t, c, named("ahead", 3)).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, result.Version)
		require.Equal(t, map[int]int{0: 0, 1: 0, 2: 1}, f.sampled)
		record(t, c, "ahead", "sampled_ahead")
	})

	t.Run("a shard that takes long is given to a second worker", func(t *testing.T) {
		in := named("slow", 1)
		in.Plan.Reissue = 3
		result, err := begin(t, c, in).Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, result.Last.Reissued)
		record(t, c, "slow", "shard_issued_again")
	})

	t.Run("a failed activity fails the run and names the reason", func(t *testing.T) {
		_, err := begin(t, c, named("poison", 2)).Wait(t.Context())
		require.ErrorIs(t, err, hone.ErrNonFinite)
		require.EqualError(t, err, "run poison: cycle 0: update: loss is NaN at step 3: non-finite")
		require.Equal(t, activities.StatusFailed, f.status(f.poison).Status)
		record(t, c, "poison", "failed_update")
	})

	t.Run("a run under way is joined, extended, stopped and cancelled", func(t *testing.T) {
		first := begin(t, c, named("gate", 2))
		require.False(t, first.Attached)
		var status workflows.Status
		require.Eventually(t, func() bool {
			var err error
			status, err = workflows.ReadStatus(t.Context(), c, "gate")
			require.NoError(t, err)
			return len(status.Activities) == 1 && status.Activities[0].Heartbeat.Done > 0
		}, 20*time.Second, 50*time.Millisecond)
		require.Equal(t, "running", status.State)
		require.Equal(t, workflows.PhaseUpdate, status.Progress.Phase)
		require.Equal(t, "Update", status.Activities[0].Name)
		require.Equal(t, 1, status.Activities[0].Attempt)
		require.Equal(t, activities.Heartbeat{Phase: "epoch 1 of 2", Done: 3, Total: 4, Unit: "minibatches"}, status.Activities[0].Heartbeat)

		joined := begin(t, c, named("gate", 4))
		require.True(t, joined.Attached)
		progress, err := workflows.ReadProgress(t.Context(), c, "gate")
		require.NoError(t, err)
		require.Equal(t, 4, progress.Cycles)
		_, err = workflows.Extend(t.Context(), c, "gate", 3)
		require.ErrorIs(t, err, hone.ErrInvalid)

		progress, err = workflows.Stop(t.Context(), c, "gate")
		require.NoError(t, err)
		require.True(t, progress.Stopping)
		f.open <- struct{}{}
		for _, training := range []*workflows.Training{first, joined} {
			result, err := training.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, activities.StatusPaused, result.Status)
			require.Equal(t, 1, result.Version)
		}
		record(t, c, "gate", "extended_and_stopped")

		resumed := begin(t, c, named("gate", 4))
		require.False(t, resumed.Attached)
		require.Eventually(t, func() bool {
			status, err := workflows.ReadStatus(t.Context(), c, "gate")
			require.NoError(t, err)
			return status.Progress.Version == 1 && status.Progress.Phase == workflows.PhaseUpdate && len(status.Activities) == 1
		}, 20*time.Second, 50*time.Millisecond)
		require.NoError(t, workflows.Cancel(t.Context(), c, "gate"))
		_, err = resumed.Wait(t.Context())
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, activities.StatusCancelled, f.status(f.gate).Status)
		record(t, c, "gate", "resumed_and_cancelled")
	})

	t.Run("a run under way is paused, changed, taken back, resumed and stopped at once", func(t *testing.T) {
		testControl(t, c, f)
	})

	t.Run("schedules fire by hand and for times that have passed, and are paused and deleted", func(t *testing.T) {
		testSchedules(t, c)
	})

	t.Run("what does not exist is not found", func(t *testing.T) {
		_, err := workflows.ReadStatus(t.Context(), c, "nobody")
		require.ErrorIs(t, err, hone.ErrNotFound)
		require.ErrorIs(t, workflows.Cancel(t.Context(), c, "nobody"), hone.ErrNotFound)
	})
}

// matching are the names of the runs that a query of search attributes finds.
func matching(t *testing.T, c client.Client, query string) (names []string) {
	t.Helper()
	page, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	require.NoError(t, err)
	for _, e := range page.GetExecutions() {
		names = append(names, e.GetExecution().GetWorkflowId())
	}
	return names
}

func testControl(t *testing.T, c client.Client, f *fakes) {
	t.Helper()
	id := []string{workflows.WorkflowID("gate")}
	in := named("gate", 9)
	in.Preset = "steep"
	training := begin(t, c, in) // Its head is version 1.
	reach := func(version int, phase workflows.Phase) {
		require.Eventually(t, func() bool {
			p, err := workflows.ReadProgress(t.Context(), c, "gate")
			require.NoError(t, err)
			return p.Version == version && p.Phase == phase
		}, 20*time.Second, 50*time.Millisecond)
	}
	reach(1, workflows.PhaseUpdate)
	_, err := workflows.Resume(t.Context(), c, "gate")
	require.ErrorIs(t, err, hone.ErrInvalid)
	progress, err := workflows.Pause(t.Context(), c, "gate")
	require.NoError(t, err)
	require.True(t, progress.Paused)
	set := []activities.Setting{{Key: "ppo.epochs", Value: json.RawMessage("2")}}
	change, err := workflows.Change(t.Context(), c, "gate", set)
	require.NoError(t, err)
	require.Equal(t, "ppo.epochs 1 -> 2 from cycle 3", change.Changes[0].String())
	set[0].Key = "prompts"
	_, err = workflows.Change(t.Context(), c, "gate", set)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.EqualError(t, err, "change run gate: prompts can't change within a run: invalid")

	f.open <- struct{}{}
	reach(2, workflows.PhasePaused)
	require.Equal(t, activities.StatusPaused, f.status(f.gate).Status)
	require.Eventually(t, func() bool {
		return len(matching(t, c, `HoneRun = "gate" AND HoneStatus = "paused" AND HonePreset = "steep" AND HoneCycle = 2`)) == 1
	}, 20*time.Second, 50*time.Millisecond)
	_, err = workflows.RollBack(t.Context(), c, "gate", 2)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = workflows.RollBack(t.Context(), c, "gate", 0)
	require.NoError(t, err)
	reach(3, workflows.PhasePaused)
	_, err = workflows.Resume(t.Context(), c, "gate")
	require.NoError(t, err)
	reach(3, workflows.PhaseUpdate)
	require.Equal(t, activities.StatusRunning, f.status(f.gate).Status)
	require.Eventually(t, func() bool {
		return len(matching(t, c, `HoneRun = "gate" AND HoneStatus = "running" AND HoneCycle = 3`)) == 1
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, id, matching(t, c, `HoneRun = "gate" AND HoneCycle = 3`))

	progress, err = workflows.StopNow(t.Context(), c, "gate")
	require.NoError(t, err)
	require.True(t, progress.Interrupted)
	result, err := training.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, activities.StatusPaused, result.Status)
	require.Equal(t, "stopped on request after 3 of 9 cycles", result.Reason)
	record(t, c, "gate", "paused_changed_taken_back_and_stopped_now")
}

// record saves the newest execution's history for TestSavedHistoriesReplay, when asked to and where it isn't saved yet.
func record(t *testing.T, c client.Client, run, name string) {
	t.Helper()
	recordExecution(t, c, run, "", name)
}

func recordExecution(t *testing.T, c client.Client, run, execution, name string) {
	t.Helper()
	recordWorkflow(t, c, workflows.WorkflowID(run), execution, name)
}

func recordWorkflow(t *testing.T, c client.Client, id, execution, name string) {
	t.Helper()
	file := filepath.Join(historiesDir, name+".json")
	if _, err := os.Stat(file); err == nil || os.Getenv("HONE_RECORD_HISTORIES") == "" {
		return
	}
	var history historypb.History
	events := c.GetWorkflowHistory(t.Context(), id, execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
}
