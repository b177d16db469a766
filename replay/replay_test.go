package replay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/replay"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/task/game24"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

// texts are completions of "4 5 6 10", from right and clean to wrong.
var texts = []string{
	"10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n",
	"10 - 4 = 7 (left: 5 6 7)\n10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n",
	"Answer: 4 + 5 + 6 + 10 = 25\n",
	"hm\n",
}

const group = 4

type fixture struct {
	store   *storage.Store
	address string
	run     hone.RunID
	task    *game24.Task
	live    *reward.Stack
}

// setup stores so many iterations of n trajectories with their live scoring.
func setup(t testing.TB, iterations, n int) fixture {
	t.Helper()
	f := fixture{address: storagetest.URL(t)}
	f.store = storagetest.OpenURL(t, f.address)
	tk, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	f.task = tk
	f.live, err = stack.New(stack.DefaultConfig(), tk)
	require.NoError(t, err)
	r, err := f.store.CreateRun(t.Context(), storage.NewRun{Name: "run", Config: []byte(`{}`)})
	require.NoError(t, err)
	f.run = r.ID
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	for i := range iterations {
		shard := storage.Shard{Key: storage.ShardKey{Run: f.run, Iteration: i}}
		var scored []storage.Scored
		for sample := range n {
			traj := rewardtest.Trajectory(tk, p, texts[(sample+sample/group+i)%len(texts)])
			traj.ID = hone.TrajectoryID{Run: f.run, Iteration: i, Sample: sample}
			for j := range traj.Values {
				traj.Values[j] = float32(j%7) / 8
			}
			b, err := f.live.Score(t.Context(), p, traj)
			require.NoError(t, err)
			shard.Trajectories = append(shard.Trajectories, traj)
			scored = append(scored, storage.Scored{Sample: sample, Breakdown: b})
		}
		require.NoError(t, f.store.SaveShard(t.Context(), shard))
		require.NoError(t, f.store.SaveScoring(t.Context(), storage.ScoringKey{ShardKey: shard.Key}, scored))
	}
	return f
}

func (f fixture) input(t testing.TB, cfg stack.Config) replay.Input {
	t.Helper()
	s, err := stack.New(cfg, f.task)
	require.NoError(t, err)
	return replay.Input{Store: f.store, Selection: storage.Selection{Run: f.run}, To: -1, Group: group, Task: f.task, Stack: s}
}

func TestTheSameRewardChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, 3, 16)
	r, err := replay.Run(t.Context(), f.input(t, stack.DefaultConfig()))
	require.NoError(t, err)
	require.Equal(t, 48, r.Trajectories)
	require.Zero(t, r.Changed)
	require.Zero(t, r.SignFlips)
	require.Zero(t, r.RankFlips)
	require.Empty(t, r.Largest)
	require.InDelta(t, 1, r.RankCorrelation, 1e-12)
	require.Equal(t, r.Before, r.After)
	require.InDelta(t, 1, r.Totals.P, 0)
}

func TestOneWeightChangesItsLayerAlone(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 16)
	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	in := f.input(t, cfg)
	var rows []replay.Row
	in.Row = func(r replay.Row) error { rows = append(rows, r); return nil }
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 24, r.Changed, "all but the clean ones")
	for _, l := range r.Layers {
		if l.Layer == "step" {
			require.InDelta(t, 3*l.Before, l.After, 1e-12)
			require.Equal(t, 24, l.Changed)
			continue
		}
		require.Zero(t, l.Changed, l.Layer)
		require.InDelta(t, l.Before, l.After, 0)
	}
	require.Len(t, rows, 32)
	for i, row := range rows {
		require.Equal(t, i%16, row.ID.Sample)
		require.Equal(t, row.Before.Layers[0], row.After.Layers[0])
	}
	require.Len(t, r.Largest, 20)
	first := r.Largest[0]
	require.InDelta(t, -0.2, first.After.Total-first.Before.Total, 1e-12)
	require.NotNil(t, first.BeforeBreakdown)
	require.InDelta(t, first.Before.Total, first.BeforeBreakdown.Total(), 0)
	require.NotEmpty(t, first.Steps[0])
	var text strings.Builder
	r.WriteText(&text, replay.Names{Run: "tiny", Before: "live", After: "new"})
	require.Contains(t, text.String(), "32 trajectories, 24 changed, 0 with another outcome")
	require.Contains(t, text.String(), "10 - 4 is 6, not 7")
	require.Contains(t, text.String(), "\n1. tiny/0/")
}

// fingerprint is of everything that was sampled and scored live.
func (f fixture) fingerprint(t *testing.T) string {
	t.Helper()
	all, err := f.store.LoadIteration(t.Context(), f.run, 0)
	require.NoError(t, err)
	live, err := f.store.LoadScoring(t.Context(), f.run, 0, storage.LiveScoring)
	require.NoError(t, err)
	text, err := json.Marshal([]any{all, live})
	require.NoError(t, err)
	return string(text)
}

func TestASavedReplayGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	f := setup(t, 30, 8)
	before := f.fingerprint(t)
	cfg := stack.DefaultConfig()
	cfg.Step = 0.3
	number, err := f.store.AddScoring(t.Context(), f.run, []byte(`{"reward":{"step":0.3}}`))
	require.NoError(t, err)
	in := f.input(t, cfg)
	want, err := replay.Run(t.Context(), in)
	require.NoError(t, err)

	in.Scoring = number
	ctx, cancel := context.WithCancel(t.Context())
	in.Progress = func(int, int) { cancel() }
	_, err = replay.Run(ctx, in)
	require.ErrorIs(t, err, context.Canceled)
	has := func(iteration int) bool {
		stored, err := f.store.HasScoring(t.Context(), storage.ScoringKey{
			ShardKey: storage.ShardKey{Run: f.run, Iteration: iteration}, Scoring: number,
		})
		require.NoError(t, err)
		return stored
	}
	require.True(t, has(0))
	require.False(t, has(29))

	in.Progress = nil
	got, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, want, got, "resumed, and not stored at all, are one report")
	require.True(t, has(29))
	stored, err := f.store.LoadScoring(t.Context(), f.run, 29, number)
	require.NoError(t, err)
	require.Len(t, stored, 8)
	require.Equal(t, before, f.fingerprint(t), "what was sampled stays as it was")

	in.Selection.Outcome = hone.OutcomeRight
	_, err = replay.Run(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrInvalid, "a part is not a scoring")
}

func TestSelections(t *testing.T) {
	t.Parallel()
	f := setup(t, 2, 8)
	for name, c := range map[string]struct {
		change func(*replay.Input)
		want   int
	}{
		"all":       {func(*replay.Input) {}, 16},
		"iteration": {func(in *replay.Input) { in.From, in.To = 1, 1 }, 8},
		"right":     {func(in *replay.Input) { in.Selection.Outcome = hone.OutcomeRight }, 8},
		"problem":   {func(in *replay.Input) { in.Selection.Problem = "1 2 3 4" }, 0},
		"text":      {func(in *replay.Input) { in.Selection.Text = "10 - 4 = 7" }, 4},
		"length":    {func(in *replay.Input) { in.Selection.MaxTokens = 4 }, 4},
		"layer":     {func(in *replay.Input) { in.Selection.Layer = storage.LayerRange{Layer: "step", Low: -1, High: -0.05} }, 4},
		"condition": {func(in *replay.Input) { in.Selection.Where = "s.total < 0 AND t.n_tokens > 4" }, 4},
		"together":  {func(in *replay.Input) { in.From = 1; in.Selection.Outcome = hone.OutcomeRight; in.Selection.Text = "7" }, 2},
	} {
		in := f.input(t, stack.DefaultConfig())
		c.change(&in)
		r, err := replay.Run(t.Context(), in)
		require.NoError(t, err, name)
		require.Equal(t, c.want, r.Trajectories, name)
	}
	in := f.input(t, stack.DefaultConfig())
	in.Selection.Where = "pg_sleep(0) IS NOT NULL); DELETE FROM scores WHERE (true"
	_, err := replay.Run(t.Context(), in)
	require.Error(t, err)
	in.Selection.Where = ""
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 16, r.Trajectories)
}

func TestKeptLayersAreTakenAsStored(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 8)
	cfg := stack.DefaultConfig()
	cfg.Correctness = 2
	in := f.input(t, cfg)
	gone, err := in.Stack.Replace(unreachable{})
	require.NoError(t, err)
	in.Stack = gone
	_, err = replay.Run(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "--keep")
	in.Keep = []string{"step"}
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []string{"step"}, r.Kept)
	for _, l := range r.Layers {
		if l.Layer == "step" {
			require.Zero(t, l.Changed)
		}
	}
	in.Keep = []string{"beauty"}
	_, err = replay.Run(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestWhatCanNotBeHadAgainIsKeptAndSaid(t *testing.T) {
	t.Parallel()
	f := setup(t, 1, 8)
	cfg := stack.DefaultConfig()
	cfg.Correctness = 2
	in := f.input(t, cfg)
	once, err := in.Stack.Replace(measured{})
	require.NoError(t, err)
	in.Stack = once
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []string{"step"}, r.Kept)
	for _, l := range r.Layers {
		if l.Layer == "step" {
			require.Zero(t, l.Changed)
		}
	}
	var text strings.Builder
	r.WriteText(&text, replay.Names{Run: "tiny", Before: "live", After: "new"})
	require.Contains(t, text.String(), "kept as they were stored, not judged again: step")
}

// measured is the step layer as something that happened once.
type measured struct{ unreachable }

func (measured) Unrepeatable() string { return "it happened once" }

// unreachable is the step layer of an endpoint that is gone.
type unreachable struct{}

func (unreachable) Name() string { return "step" }

func (unreachable) Judge(context.Context, hone.Problem, hone.Trajectory) (reward.Judgement, error) {
	return reward.Judgement{}, fmt.Errorf("endpoint: %w", hone.ErrUnavailable)
}

func TestAgainstAnotherStack(t *testing.T) {
	t.Parallel()
	f := setup(t, 40, 8)
	// Under the first stack a wrong answer beats a right one; the second is the default.
	in := f.input(t, stack.Config{
		WrongMayWin: true, Layers: []stack.LayerConfig{{Layer: "format", Weight: 1}, {Layer: "correctness", Weight: 0}},
	})
	var err error
	in.Against, err = stack.New(stack.DefaultConfig(), f.task)
	require.NoError(t, err)
	r, err := replay.Run(t.Context(), in)
	require.NoError(t, err)
	require.Less(t, r.AgreesBefore, r.AgreesAfter)
	require.Less(t, r.Agreement.P, 0.001)
	require.Equal(t, 80, r.Agreement.N)
	require.False(t, math.IsNaN(r.Totals.P))
	require.InDelta(t, r.After.Mean-r.Before.Mean, r.Totals.Mean, 1e-9, "groups are of one size")
}

// BenchmarkReplay reads from Postgres, judges by the default layers and writes the scoring, on a server with fsync off.
func BenchmarkReplay(b *testing.B) {
	const iterations, n = 40, 1024
	f := setup(b, iterations, n)
	cfg := stack.DefaultConfig()
	for save := range 2 {
		b.Run([]string{"report", "save"}[save], func(b *testing.B) {
			begin := time.Now()
			for b.Loop() {
				cfg.Step += 1e-6
				in := f.input(b, cfg)
				if save == 1 {
					var err error
					in.Scoring, err = f.store.AddScoring(b.Context(), f.run, fmt.Appendf(nil, `{"step":%v}`, cfg.Step))
					require.NoError(b, err)
				}
				_, err := replay.Run(b.Context(), in)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(iterations*n*b.N)/time.Since(begin).Seconds(), "trajectories/s")
		})
	}
}
