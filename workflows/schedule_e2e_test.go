//go:build e2e

package workflows_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/gate"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/workflows"
)

func (f *fakes) Survey(_ context.Context, in activities.SurveyInput) (activities.SurveyOutput, error) {
	out := activities.SurveyOutput{Parent: "id-of-whole", Version: 2, Found: activities.Found{Old: 100}}
	if in.Source.Dir == "/empty" {
		out.Skip = "nothing is new"
		return out, nil
	}
	out.Found.New, out.Fresh, out.Config = 3, "new", json.RawMessage(`{"seed":2}`)
	return out, nil
}

func (f *fakes) Fork(_ context.Context, in activities.ForkInput) (activities.ForkOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	run := hone.RunID("id-of-" + in.Name)
	f.heads[run] = 0
	return activities.ForkOutput{Run: run}, nil
}

func (f *fakes) Judge(_ context.Context, in activities.JudgeInput) (activities.JudgeOutput, error) {
	return activities.JudgeOutput{Published: true, Reason: "p = 0.0010", Number: 1, Pairs: gate.Pairs{Wins: 10}, P: 0.001}, nil
}

// fired waits until a schedule has started n workflows that have ended, and returns their results, the oldest first.
func fired(t *testing.T, c client.Client, name string, n int) (ids []string, results []workflows.TuneResult) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, _, err := workflows.ReadSchedule(t.Context(), c, name)
		require.NoError(t, err)
		ids = nil
		for _, f := range s.Last {
			ids = append(ids, f.Workflow)
		}
		return len(ids) >= n
	}, time.Minute, 50*time.Millisecond)
	for _, id := range ids {
		var result workflows.TuneResult
		require.NoError(t, c.GetWorkflow(t.Context(), id, "").Get(t.Context(), &result))
		results = append(results, result)
	}
	return ids, results
}

func testSchedules(t *testing.T, c client.Client) {
	t.Helper()
	in := workflows.ScheduleInput{
		Tune: tune(), Crons: []string{"0 3 * * *"}, Timezone: "Europe/Berlin", Overlap: workflows.OverlapSkip,
		CatchUp: workflows.DefaultCatchUp, Paused: true,
	}
	require.NoError(t, workflows.CreateSchedule(t.Context(), c, in))
	require.ErrorIs(t, workflows.CreateSchedule(t.Context(), c, in), hone.ErrConflict)
	odd := in
	odd.Tune.Service, odd.Crons = "odd", []string{"at tea time"}
	require.ErrorIs(t, workflows.CreateSchedule(t.Context(), c, odd), hone.ErrInvalid)

	require.NoError(t, workflows.TriggerSchedule(t.Context(), c, "nightly"))
	ids, results := fired(t, c, "nightly", 1)
	require.Equal(t, workflows.TunePublished, results[0].State)
	require.Equal(t, 4, results[0].Version)
	require.Regexp(t, `^nightly-\d{4}-\d\d-\d\dT\d{6}Z$`, results[0].Run)
	recordWorkflow(t, c, ids[0], "", "tune_published")
	recordWorkflow(t, c, workflows.WorkflowID(results[0].Run), "", "trained_by_a_schedule")

	now := time.Now()
	require.ErrorIs(t, workflows.BackfillSchedule(t.Context(), c, "nightly", now, now), hone.ErrInvalid)
	require.NoError(t, workflows.BackfillSchedule(t.Context(), c, "nightly", now.Add(-50*time.Hour), now.Add(-time.Hour)))
	ids, _ = fired(t, c, "nightly", 3)
	require.Len(t, ids, 3, "two nights")

	s, tuned, err := workflows.ReadSchedule(t.Context(), c, "nightly")
	require.NoError(t, err)
	require.True(t, s.Paused)
	require.True(t, tuned.Attributes)
	tuned.Attributes = false
	require.Equal(t, in.Tune, tuned)
	require.NoError(t, workflows.UnpauseSchedule(t.Context(), c, "nightly"))
	require.NoError(t, workflows.PauseSchedule(t.Context(), c, "nightly", "the data is being mended"))

	empty := in
	empty.Tune.Service, empty.Tune.Source.Dir = "empty", "/empty"
	require.NoError(t, workflows.CreateSchedule(t.Context(), c, empty))
	require.NoError(t, workflows.TriggerSchedule(t.Context(), c, "empty"))
	ids, results = fired(t, c, "empty", 1)
	require.Equal(t, workflows.TuneSkipped, results[0].State)
	recordWorkflow(t, c, ids[0], "", "tune_skipped")

	require.Eventually(t, func() bool {
		all, err := workflows.Schedules(t.Context(), c)
		require.NoError(t, err)
		return len(all) == 2 && all[0].Name == "empty" && all[1].Name == "nightly" && all[1].Note == "the data is being mended"
	}, 20*time.Second, 50*time.Millisecond)
	for _, name := range []string{"empty", "nightly"} {
		require.NoError(t, workflows.DeleteSchedule(t.Context(), c, name))
	}
	_, _, err = workflows.ReadSchedule(t.Context(), c, "nightly")
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorIs(t, workflows.TriggerSchedule(t.Context(), c, "nobody"), hone.ErrNotFound)
}

// small is a job whose supervised start learns twenty problems of Countdown by heart, in seconds.
func small() activities.Job {
	job := activities.DefaultJob()
	job.Task = "countdown"
	c := &job.Countdown
	c.Train, c.HeldOut, c.MinNumbers, c.MaxNumbers, c.MaxNumber, c.MaxTarget = 20, 4, 3, 3, 20, 60
	job.Policy.Width, job.Policy.Layers, job.Policy.Hidden, job.Policy.Context = 64, 2, 128, 128
	job.Start.Traces, job.Start.Solve, job.Start.Walk = 120, 1, 0
	job.Start.SFT.Epochs, job.Start.SFT.BatchTokens, job.Start.SFT.LearningRate = 16, 256, 3e-3
	job.Cycles, job.Prompts, job.Searched = 1, 4, 0
	job.Rollout.Group, job.Rollout.MaxTokens = 2, 40
	job.PPO.Epochs, job.PPO.Minibatches = 1, 2
	return job
}

// TestScheduleForReal has a schedule fire by the clock of a real server: it trains what is new with a learning rate that ruins the
// policy, which the gate refuses and the run takes back; the next firing finds nothing new.
func TestScheduleForReal(t *testing.T) {
	t.Parallel()
	pg := postgres(t, t.TempDir())
	require.NoError(t, pg.EnsureDatabase(t.Context(), "hone"))
	store, err := storage.Open(t.Context(), pg.URL("hone"), storage.Options{Migrate: true})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	kernels, err := kernel.Open()
	require.NoError(t, err)
	act := activities.New(activities.Deps{Store: store, Blobs: blobs, Kernels: kernels, Commit: "test"})
	c := serve(t, pg, act)

	config, err := json.Marshal(small())
	require.NoError(t, err)
	plan := workflows.Plan{Shards: 1, Parallel: 1, ContinueEvery: 50}
	base, err := begin(t, c, workflows.TrainInput{Run: "base", Config: config, Plan: plan}).Wait(t.Context())
	require.NoError(t, err)
	_, err = store.SavePublication(t.Context(), storage.Publication{
		Service: "ruin", Request: "test", State: storage.Published, Run: base.Run, Details: json.RawMessage("{}"),
	}, 3)
	require.NoError(t, err)
	dir := t.TempDir()
	lines := []string{"3 4 5 = 17", "2 6 7 = 20", "1 8 9 = 18", "5 6 8 = 38", "x"}
	for i, key := range lines {
		lines[i] = `{"problem": "` + key + `"}`
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new.jsonl"), []byte(strings.Join(lines, "\n")), 0o600))

	in := workflows.ScheduleInput{
		Tune: workflows.DefaultTuneInput(), Every: 10 * time.Second, Overlap: workflows.OverlapSkip, CatchUp: time.Minute,
	}
	in.Tune.Service, in.Tune.Source.Dir, in.Tune.Cycles, in.Tune.Shards = "ruin", dir, 1, 2
	in.Tune.Measure = workflows.Measure{Split: hone.SplitTrain, Mode: activities.ModeGreedy}
	in.Tune.Set = []activities.Setting{
		{Key: "ppo.learning_rate", Value: json.RawMessage("10")}, {Key: "ppo.warmup", Value: json.RawMessage("0")},
	}
	require.NoError(t, workflows.CreateSchedule(t.Context(), c, in))
	var record []storage.Publication
	require.Eventually(t, func() bool {
		record, err = store.Publications(t.Context(), "ruin")
		require.NoError(t, err)
		return len(record) >= 3
	}, 2*time.Minute, 100*time.Millisecond)
	require.NoError(t, workflows.PauseSchedule(t.Context(), c, "ruin", "seen enough"))

	skipped, refused, first := record[len(record)-3], record[len(record)-2], record[len(record)-1]
	require.Equal(t, storage.Published, first.State)
	require.Equal(t, storage.Refused, refused.State)
	require.Contains(t, refused.Reason, "p = 1.0000, want at most 0.05")
	require.Equal(t, storage.Skipped, skipped.State)
	require.Contains(t, skipped.Reason, "what came of it was refused; nothing is new since")
	var details struct {
		activities.Found
		gate.Pairs
	}
	require.NoError(t, json.Unmarshal(refused.Details, &details))
	require.Equal(t, 4, details.New)
	require.Equal(t, 1, details.Bad)
	require.GreaterOrEqual(t, details.Losses, 5, "it was made worse: %+v", details.Pairs)
	use, err := store.InService(t.Context(), "ruin")
	require.NoError(t, err)
	require.Equal(t, base.Run, use.Run)

	ids, _ := fired(t, c, "ruin", 2)
	recordWorkflow(t, c, ids[0], "", "tune_refused_and_rolled_back")
	head, err := store.Head(t.Context(), refused.Run)
	require.NoError(t, err)
	require.Equal(t, 2, head.Number)
	restored, err := store.Restored(t.Context(), refused.Run)
	require.NoError(t, err)
	require.Equal(t, map[int]int{2: 0}, restored)
	published, err := store.Version(t.Context(), base.Run, 0)
	require.NoError(t, err)
	require.Equal(t, published.Weights, head.Weights, "the run went back to what is in service")
	ruined, err := store.Version(t.Context(), refused.Run, 1)
	require.NoError(t, err)
	require.NotEqual(t, published.Weights, ruined.Weights)
}
