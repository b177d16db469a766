package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/backup"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/storage/verify"
)

// victimEnv tells a child of TestProcessKilledAtEachPoint where to work: a place as JSON.
const victimEnv = "HONE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if where := os.Getenv(victimEnv); where != "" {
		if err := victim(where); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	storagetest.Main(m)
}

// victim is the child: it drives a run under the plan of its environment.
func victim(where string) error {
	ctx := context.Background()
	if text := os.Getenv(fault.Env); text != "" {
		plan, err := fault.Parse(text)
		if err != nil {
			return err
		}
		ctx = fault.With(ctx, plan)
	}
	var at place
	if err := json.Unmarshal([]byte(where), &at); err != nil {
		return err
	}
	return drive(ctx, at)
}

// place is where a run is driven: a database and a folder of blobs, a folder of backups, and what a backup is restored to.
type place struct{ Address, Blobs, Backups, RestoredAddress, RestoredBlobs string }

func newPlace(t *testing.T) place {
	t.Helper()
	return place{
		Address: storagetest.Empty(t), Blobs: t.TempDir(), Backups: t.TempDir(),
		RestoredAddress: storagetest.Empty(t), RestoredBlobs: t.TempDir(),
	}
}

// driven is the run's name, and forked that of its fork.
const driven, forked = "driven", "forked"

// drive takes a run through everything that moves a record, from wherever it stands: what the workflow does, in one process.
func drive(ctx context.Context, at place) error {
	store, err := storage.Open(ctx, at.Address, storage.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer store.Close()
	blobs, err := blob.OpenDir(at.Blobs)
	if err != nil {
		return err
	}
	a := activities.New(activities.Deps{Store: store, Blobs: blobs, Kernels: kernel.Portable(), Commit: "test"})
	job := tiny()
	job.Cycles = 3
	config, err := json.Marshal(job)
	if err != nil {
		return err
	}
	run, err := a.Prepare(ctx, activities.PrepareInput{Name: driven, Config: config})
	if err != nil {
		return err
	}
	if run.Version < 0 {
		if _, err := a.SupervisedStart(ctx, activities.SupervisedStartInput{Run: run.Run}); err != nil {
			return err
		}
		run.Version = 0
	}
	for version := run.Version; version < 4; version++ {
		if err := driveOn(ctx, a, run.Run, version); err != nil {
			return fmt.Errorf("from version %d: %w", version, err)
		}
	}
	if err := driveEnd(ctx, a, store, run.Run); err != nil {
		return err
	}
	return keep(ctx, store, blobs, at)
}

// driveOn goes from a version to the next one: by a cycle, or by going back.
func driveOn(ctx context.Context, a *activities.Activities, run hone.RunID, version int) error {
	switch version {
	case 1:
		if _, err := a.Evaluate(ctx, activities.EvaluateInput{
			Run: run, Version: 1, Split: hone.SplitHeldOut, Mode: activities.ModeGreedy, Limit: 3,
		}); err != nil {
			return err
		}
		_, err := a.Change(ctx, activities.ChangeInput{
			Run: run, Request: "asked once", Set: []activities.Setting{{Key: "ppo.learning_rate", Value: json.RawMessage("0.01")}},
		})
		if err != nil {
			return err
		}
	case 2:
		_, err := a.RollBack(ctx, activities.RollBackInput{Run: run, From: 2, To: 1})
		return err
	}
	const shards = 4 // enough for four deaths: a shard that is stored is not sampled again
	for shard := range shards {
		if _, err := a.RolloutShard(ctx, activities.RolloutShardInput{
			Run: run, Iteration: version, Shard: shard, Shards: shards, Behaviour: version,
		}); err != nil {
			return err
		}
	}
	if _, err := a.Score(ctx, activities.ScoreInput{Run: run, Iteration: version, Behaviour: version}); err != nil {
		return err
	}
	_, err := a.Update(ctx, activities.UpdateInput{Run: run, Iteration: version, Behaviour: version})
	return err
}

// driveEnd is what is done with a trained run.
func driveEnd(ctx context.Context, a *activities.Activities, store *storage.Store, run hone.RunID) error {
	if _, err := a.Publish(ctx, activities.PublishInput{Run: run, Version: 4}); err != nil {
		return err
	}
	if _, err := store.SavePublication(ctx, storage.Publication{
		Service: "service", Request: "asked once", State: storage.Published, Run: run, Version: 4, Details: json.RawMessage(`{}`),
	}, 3); err != nil {
		return err
	}
	scoring, err := store.AddScoring(ctx, run, json.RawMessage(`{"reward":"another"}`))
	if err != nil {
		return err
	}
	scored, err := store.LoadScoring(ctx, run, 0, storage.LiveScoring)
	if err != nil {
		return err
	}
	key := storage.ScoringKey{ShardKey: storage.ShardKey{Run: run}, Scoring: scoring}
	if err := store.SaveScoring(ctx, key, scored); err != nil {
		return err
	}
	if _, err := a.Fork(ctx, activities.ForkInput{Parent: run, Version: 1, Name: forked}); err != nil {
		return err
	}
	if err := a.Finish(ctx, activities.FinishInput{Run: run, Status: activities.StatusSucceeded}); err != nil {
		return err
	}
	return nil
}

// keep is what is done with the record as a whole: it is collected, backed up once, and that is restored elsewhere.
func keep(ctx context.Context, store *storage.Store, blobs blob.Store, at place) error {
	if _, err := store.Expire(ctx, storage.Retention{Weights: 1, Optimisers: 1}, activities.Reads, false); err != nil {
		return err
	}
	if _, err := store.Sweep(ctx, blobs, time.Now().Add(time.Hour), false); err != nil {
		return err
	}
	made, err := backup.List(at.Backups)
	if err != nil {
		return err
	}
	if len(made) == 0 {
		begun, err := os.ReadDir(at.Backups)
		if err != nil {
			return err
		}
		now := time.Unix(int64(len(begun)), 0) // by which it is named: another one than those that died have
		if _, err := backup.Write(ctx, backup.Source{Store: store, Blobs: blobs, Program: "test", Now: now}, at.Backups); err != nil {
			return err
		}
	}
	restored, err := blob.OpenDir(at.RestoredBlobs)
	if err != nil {
		return err
	}
	_, err = backup.Restore(ctx, at.Backups, "", backup.Target{URL: at.RestoredAddress, Blobs: restored})
	return err
}

// TestProcessKilledAtEachPoint kills a process by SIGKILL at each point where the record moves, one after the other, and starts it anew:
// after each death what is stored holds together, and what it ends in is what a process that nobody killed leaves, as is what is restored.
func TestProcessKilledAtEachPoint(t *testing.T) {
	t.Parallel()
	still := newPlace(t)
	require.NoError(t, drive(t.Context(), still))
	calm := checked(t, still.Address, still.Blobs)
	require.Len(t, calm, 2)
	require.Equal(t, calm, checked(t, still.RestoredAddress, still.RestoredBlobs))

	at := newPlace(t)
	where, err := json.Marshal(at)
	require.NoError(t, err)
	child := func(plan string) (syscall.WaitStatus, string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimEnv+"="+string(where), fault.Env+"="+plan)
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		_ = cmd.Run()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, ok)
		return status, said.String()
	}
	for i, point := range fault.Points() {
		status, said := child(string(point) + "=kill")
		require.True(t, status.Signaled(), "%s was not come by: %s", point, said)
		require.Equal(t, syscall.SIGKILL, status.Signal())
		if i > 1 { // the schema is there
			checked(t, at.Address, at.Blobs)
		}
	}
	status, said := child("")
	require.Zero(t, status.ExitStatus(), said)
	require.Equal(t, calm, checked(t, at.Address, at.Blobs))
	require.Equal(t, calm, checked(t, at.RestoredAddress, at.RestoredBlobs))
}

// checked are the digests of all runs of a database, by name; all of them must hold.
func checked(t *testing.T, address, dir string) map[string]blob.Digest {
	t.Helper()
	store, err := storage.Open(t.Context(), address, storage.Options{Migrate: true})
	require.NoError(t, err)
	defer store.Close()
	blobs, err := blob.OpenDir(dir)
	require.NoError(t, err)
	runs, err := store.Runs(t.Context())
	require.NoError(t, err)
	out := make(map[string]blob.Digest)
	for _, run := range runs {
		report, err := verify.Run(t.Context(), verify.Input{Store: store, Blobs: blobs, Run: run.ID})
		require.NoError(t, err)
		require.Empty(t, report.Faults)
		out[run.Name] = report.Digest
	}
	return out
}
