package replay_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/task/game24"
)

// TestMillion measures a replay of as many stored trajectories as HONE_REPLAY_TRAJECTORIES says, on a Postgres with fsync on: make
// bench-replay. Each has some fifty tokens. Memory must stay where it is for a tenth of them.
func TestMillion(t *testing.T) { //nolint:paralleltest // it measures
	n, err := strconv.Atoi(os.Getenv("HONE_REPLAY_TRAJECTORIES"))
	if err != nil {
		t.Skip("HONE_REPLAY_TRAJECTORIES is not set")
	}
	f := fixture{store: durable(t)}
	f.task, err = game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	f.live, err = stack.New(stack.DefaultConfig(), f.task)
	require.NoError(t, err)
	r, err := f.store.CreateRun(t.Context(), storage.NewRun{Name: "million", Config: []byte(`{}`)})
	require.NoError(t, err)
	f.run = r.ID
	began := time.Now()
	iterations := (n + perIteration - 1) / perIteration
	var writers errgroup.Group
	writers.SetLimit(2)
	for i := range iterations {
		writers.Go(func() error { return f.write(t, i) })
	}
	require.NoError(t, writers.Wait())
	t.Logf("%d trajectories written in %v", iterations*perIteration, time.Since(began).Round(time.Second))

	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	measure := func(what string, in replay.Input) (peak int) {
		runtime.GC()
		require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // VmHWM begins anew
		began := time.Now()
		r, err := replay.Run(t.Context(), in)
		require.NoError(t, err)
		took := time.Since(began)
		peak = residentPeak(t)
		t.Logf("%s: %d trajectories in %v: %.0f trajectories/s, peak of resident memory %d MB",
			what, r.Trajectories, took.Round(time.Millisecond), float64(r.Trajectories)/took.Seconds(), peak>>20)
		return peak
	}
	in := f.input(t, cfg)
	in.To = iterations/10 - 1
	tenth := measure("a tenth, reported", in)
	in.To = -1
	measure("reported", in)
	in.Scoring, err = f.store.AddScoring(t.Context(), f.run, []byte(`{"step":0.3}`))
	require.NoError(t, err)
	whole := measure("reported and saved", in)
	measure("read back", in)
	require.Less(t, whole, tenth+tenth/2+64<<20, "memory does not grow with the run")
}

const perIteration = 1024

// durable is a store on a server that a crash of the machine would not harm.
func durable(t *testing.T) *storage.Store {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	require.NoError(t, server.EnsureDatabase(t.Context(), "hone"))
	s, err := storage.Open(t.Context(), server.URL("hone"), storage.Options{Migrate: true})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// write stores an iteration of trajectories with their live scoring.
func (f fixture) write(t *testing.T, iteration int) error {
	t.Helper()
	const tokens = 12 // a step
	p, err := f.task.Problem("4 5 6 10")
	if err != nil {
		return err
	}
	shard := storage.Shard{Key: storage.ShardKey{Run: f.run, Iteration: iteration}}
	scored := make([]storage.Scored, perIteration)
	for sample := range perIteration {
		traj := rewardtest.Trajectory(f.task, p, texts[(sample+sample/group+iteration)%len(texts)])
		traj.ID = hone.TrajectoryID{Run: f.run, Iteration: iteration, Sample: sample}
		for i := range traj.Steps {
			traj.Steps[i].From *= tokens
			traj.Steps[i].To *= tokens
		}
		n := tokens * len(traj.Tokens)
		traj.Tokens, traj.Logp, traj.Values = make([]hone.TokenID, n), make([]float32, n), make([]float32, n)
		for i := range n {
			traj.Logp[i], traj.Values[i] = -float32(i%17)/8, float32(i%7)/8
		}
		b, err := f.live.Score(t.Context(), p, traj)
		if err != nil {
			return err
		}
		shard.Trajectories = append(shard.Trajectories, traj)
		scored[sample] = storage.Scored{Sample: sample, Breakdown: b}
	}
	if err := f.store.SaveShard(t.Context(), shard); err != nil {
		return err
	}
	return f.store.SaveScoring(t.Context(), storage.ScoringKey{ShardKey: shard.Key}, scored)
}

// residentPeak is the most memory that the process had, in bytes.
func residentPeak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	require.True(t, ok)
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return kilobytes << 10
}

// replayIn is the environment variable that makes the test binary a replay of the database at that address, to be killed.
const replayIn = "HONE_TEST_REPLAY_IN"

// TestAKilledReplayGoesOn kills a process with kill -9 in the middle of a replay that is saved, and goes on in another.
func TestAKilledReplayGoesOn(t *testing.T) {
	t.Parallel()
	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	if address := os.Getenv(replayIn); address != "" {
		store, err := storage.Open(t.Context(), address, storage.Options{})
		require.NoError(t, err)
		tk, err := game24.New(game24.DefaultConfig())
		require.NoError(t, err)
		in := fixture{store: store, run: storage.RunIDOf("run"), task: tk}.input(t, cfg)
		in.Scoring = 1
		in.Progress = func(done, _ int) {
			fmt.Fprintln(os.Stdout, "done", done)
			if done == 3 {
				select {} // until it is killed
			}
		}
		_, err = replay.Run(t.Context(), in)
		require.NoError(t, err)
		return
	}
	f := setup(t, 40, 8)
	in := f.input(t, cfg)
	want, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	in.Scoring, err = f.store.AddScoring(t.Context(), f.run, []byte(`{"step":0.3}`))
	require.NoError(t, err)
	before := f.fingerprint(t)

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKilledReplayGoesOn$", "-test.v")
	child.Env = append(os.Environ(), replayIn+"="+f.address)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "done 3"; {
	}
	require.NoError(t, child.Process.Signal(syscall.SIGKILL))
	require.Error(t, child.Wait())

	some, err := f.store.IterationsOf(t.Context(), f.run, in.Scoring)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(some), 3)
	require.Less(t, len(some), 40, "it was killed in the middle")
	got, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, want, got)
	all, err := f.store.IterationsOf(t.Context(), f.run, in.Scoring)
	require.NoError(t, err)
	require.Len(t, all, 40)
	require.Equal(t, before, f.fingerprint(t))
}
