//go:build e2e

package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/hone-rl/hone/storage/verify"
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

// installation is a server with real activities on a real record, and a service that uses version 0 of a run of that job.
type installation struct {
	*testing.T
	client  client.Client
	store   *storage.Store
	blobs   *blob.Dir
	base    hone.RunID
	service string
}

func newInstallation(t *testing.T, service string, job activities.Job) *installation {
	t.Helper()
	pg := postgres(t, t.TempDir())
	require.NoError(t, pg.EnsureDatabase(t.Context(), "hone"))
	r := &installation{T: t, service: service}
	var err error
	r.store, err = storage.Open(t.Context(), pg.URL("hone"), storage.Options{Migrate: true})
	require.NoError(t, err)
	t.Cleanup(r.store.Close)
	r.blobs, err = blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	kernels, err := kernel.Open()
	require.NoError(t, err)
	r.client = serve(t, pg, activities.New(activities.Deps{Store: r.store, Blobs: r.blobs, Kernels: kernels, Commit: "test"}))
	config, err := json.Marshal(job)
	require.NoError(t, err)
	plan := workflows.Plan{Cycles: 0, Shards: 1, Parallel: 1, ContinueEvery: 50}
	base, err := begin(t, r.client, workflows.TrainInput{Run: "base", Config: config, Plan: plan}).Wait(t.Context())
	require.NoError(t, err)
	r.base = base.Run
	_, err = r.store.SavePublication(t.Context(), storage.Publication{
		Service: service, Request: "test", State: storage.Published, Run: base.Run, Details: json.RawMessage("{}"),
	}, 3)
	require.NoError(t, err)
	return r
}

// problems writes a file of them.
func (r *installation) problems(dir, name string, keys ...string) {
	r.Helper()
	var text strings.Builder
	for _, key := range keys {
		text.WriteString(`{"problem": "` + key + `"}` + "\n")
	}
	require.NoError(r, os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o600))
}

// TestScheduleForReal has a schedule fire by the clock of a real server: it trains what is new with a learning rate that ruins the
// policy, which the gate refuses and the run takes back; the next firing finds nothing new.
func TestScheduleForReal(t *testing.T) {
	t.Parallel()
	r := newInstallation(t, "ruin", small())
	c, store := r.client, r.store
	dir := t.TempDir()
	r.problems(dir, "new.jsonl", "3 4 5 = 17", "2 6 7 = 20", "1 8 9 = 18", "5 6 8 = 38", "x")

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
		var err error
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
	require.Equal(t, r.base, use.Run)

	ids, _ := fired(t, c, "ruin", 2)
	recordWorkflow(t, c, ids[0], "", "tune_refused_and_rolled_back")
	head, err := store.Head(t.Context(), refused.Run)
	require.NoError(t, err)
	require.Equal(t, 2, head.Number)
	restored, err := store.Restored(t.Context(), refused.Run)
	require.NoError(t, err)
	require.Equal(t, map[int]int{2: 0}, restored)
	published, err := store.Version(t.Context(), r.base, 0)
	require.NoError(t, err)
	require.Equal(t, published.Weights, head.Weights, "the run went back to what is in service")
	ruined, err := store.Version(t.Context(), refused.Run, 1)
	require.NoError(t, err)
	require.NotEqual(t, published.Weights, ruined.Weights)
}

// TestSchedulePublishesWhatIsBetter has a schedule train on new problems, with the old ones, night after night: most nights' policy is
// better than the one before and is published. The newest two stay in the end, and of what others trained nothing but the start of the
// older of them.
func TestSchedulePublishesWhatIsBetter(t *testing.T) {
	t.Parallel()
	job := small()
	job.Countdown.Train, job.Start.Traces, job.Start.SFT.Epochs = 150, 300, 7
	r := newInstallation(t, "better", job)
	dir := t.TempDir()
	in := workflows.ScheduleInput{
		Tune: workflows.DefaultTuneInput(), Every: 24 * time.Hour, Overlap: workflows.OverlapSkip, CatchUp: time.Minute, Paused: true,
	}
	in.Tune.Service, in.Tune.Source.Dir, in.Tune.Cycles, in.Tune.Replay, in.Tune.Keep = "better", dir, 1, 100, 2
	in.Tune.Measure = workflows.Measure{Split: hone.SplitTrain, Mode: activities.ModeGreedy}
	for _, set := range [][2]string{
		{"algorithm", `"supervised"`},
		{"supervised.traces", "300"},
		{"supervised.sft.epochs", "5"},
		{"supervised.sft.batch_tokens", "256"},
		{"supervised.sft.learning_rate", "3e-3"},
		{"supervised.sft.warmup", "0"},
		{"prompts", "1"},
	} {
		in.Tune.Set = append(in.Tune.Set, activities.Setting{Key: set[0], Value: json.RawMessage(set[1])})
	}
	require.NoError(t, workflows.CreateSchedule(t.Context(), r.client, in))
	var published []hone.RunID
	for night := 0; len(published) < 4; night++ {
		require.Less(t, night, 9, "published: %v", published)
		var keys []string
		for i := range 2 {
			a, b, c := 2+night, 3+i, 1+(night+2*i)%7
			keys = append(keys, fmt.Sprintf("%d %d %d = %d", a, b, c, a*b+c))
		}
		r.problems(dir, fmt.Sprintf("night-%d.jsonl", night), keys...)
		require.NoError(t, workflows.TriggerSchedule(t.Context(), r.client, "better"))
		_, results := fired(t, r.client, "better", night+1)
		result := results[night]
		t.Logf("night %d: %s: %s", night, result.State, result.Reason)
		if result.State != workflows.TunePublished {
			require.Equal(t, workflows.TuneRefused, result.State)
			continue
		}
		require.Greater(t, result.Judged.Pairs.Wins, result.Judged.Pairs.Losses)
		require.LessOrEqual(t, result.Judged.P, in.Tune.Alpha)
		published = append(published, storage.RunIDOf(result.Run))
		use, err := r.store.InService(t.Context(), "better")
		require.NoError(t, err)
		require.Equal(t, published[len(published)-1], use.Run)
	}
	states := make(map[hone.RunID]storage.PublicationState)
	record, err := r.store.Publications(t.Context(), "better")
	require.NoError(t, err)
	for _, p := range record {
		states[p.Run] = p.State
	}
	require.Equal(t, storage.Retired, states[r.base])
	for i, run := range published {
		require.Equal(t, []storage.PublicationState{storage.Retired, storage.Retired, storage.Published, storage.Published}[i], states[run])
	}

	_, err = r.store.Expire(t.Context(), storage.Retention{}, activities.Reads, false)
	require.NoError(t, err)
	_, err = r.store.Sweep(t.Context(), r.blobs, time.Now().Add(time.Hour), false)
	require.NoError(t, err)
	for i, want := range []bool{false, true, true, true} {
		require.Equal(t, want, r.there(published[i], in.Tune.Cycles), "publication %d", i)
	}
	require.True(t, r.there(r.base, 0), "a person's run keeps its start")
	for run := range states {
		report, err := verify.Run(t.Context(), verify.Input{Store: r.store, Blobs: r.blobs, Run: run})
		require.NoError(t, err)
		require.Empty(t, report.Faults)
	}
}

// there tells whether the weights of a version can be had.
func (r *installation) there(run hone.RunID, version int) bool {
	r.Helper()
	v, err := r.store.Version(r.Context(), run, version)
	require.NoError(r, err)
	content, err := r.blobs.Open(r.Context(), v.Weights)
	if err != nil {
		require.ErrorIs(r, err, hone.ErrNotFound)
		return false
	}
	require.NoError(r, content.Close())
	return true
}
