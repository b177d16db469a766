package stack_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

const (
	solution = "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	circle   = "4 + 5 = 9 (left: 6 9 10)\nback (left: 4 5 6 10)\n"
)

func ExampleNew() {
	tk, err := game24.New(game24.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	rewards, err := stack.New(stack.DefaultConfig(), tk)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _ := tk.Problem("4 5 6 10")
	traj := rewardtest.Trajectory(tk, p, "10 - 4 = 7 (left: 5 6 7)\n"+solution)
	b, err := rewards.Score(context.Background(), p, traj)
	fmt.Println(b.Outcome, err)
	for _, layer := range b.Layers {
		fmt.Printf("%s, weight %v: %.5f\n", layer.Layer, layer.Weight, layer.Total())
		for _, term := range layer.Terms {
			if term.Score != 0 {
				fmt.Printf("  step %d: %.5f, %s\n", term.Step, term.Score, term.Reason)
			}
		}
	}
	fmt.Printf("total %.5f\n", b.Total())
	// Output:
	// right <nil>
	// correctness, weight 1: 1.00000
	//   step 4: 1.00000, (5 * (10 - 4)) - 6 is 24 and uses numbers of 4 5 6 10, each exactly once
	// step, weight 0.1: -0.02500
	//   step 0: -0.25000, 10 - 4 is 6, not 7
	// efficiency, weight 0.05: -0.00156
	//   step 0: -0.03125, not a good step
	// total 0.97344
}

func setup(t testing.TB) (*game24.Task, hone.Problem) {
	t.Helper()
	tk, err := game24.New(game24.Config{Traces: task.DefaultTraces()})
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	return tk, p
}

// TestWorstRightBeatsBestWrong scores every combination of beginnings and endings.
func TestWorstRightBeatsBestWrong(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	rewards, err := stack.New(stack.DefaultConfig(), tk)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{
			circle, "hm\n", "10 - 4 = 6 (left: 5 6 6)\n", "back (left: 4 5 6 10)\n", "\n", "10 - 4 = 7 (left: 5 6 7)\n",
		}), 0, 60)
		join := func(label string) (text string) {
			for _, l := range lines.Draw(t, label) {
				text += l
			}
			return text
		}
		wrongEnd := rapid.SampledFrom([]string{"", "Answer: 4 + 5 + 6 + 10 = 25\n", "Answer: 24 = 24\n"}).Draw(t, "wrong end")
		text := join("right") + "Answer: (5*(10-4))-6 = 24\n" + join("after")
		right, err := rewards.Score(context.Background(), p, rewardtest.Trajectory(tk, p, text))
		require.NoError(t, err)
		wrong, err := rewards.Score(context.Background(), p, rewardtest.Trajectory(tk, p, join("wrong")+wrongEnd))
		require.NoError(t, err)
		require.Equal(t, hone.OutcomeRight, right.Outcome)
		require.Equal(t, hone.OutcomeWrong, wrong.Outcome)
		require.Greater(t, right.Total(), 0.8)
		require.LessOrEqual(t, wrong.Total(), 0.0)

		sum := 0.0
		for _, r := range right.StepRewards() {
			sum += r
		}
		require.InDelta(t, right.Total(), sum, 1e-12, "the total is what is shown")
	})
}

func TestNoiseKeepsTheOutcome(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	cfg := stack.DefaultConfig()
	cfg.Noise = true
	rewards, err := stack.New(cfg, tk)
	require.NoError(t, err)
	b, err := rewards.Score(t.Context(), p, rewardtest.Trajectory(tk, p, solution))
	require.NoError(t, err)
	require.Equal(t, hone.OutcomeRight, b.Outcome)
	require.Len(t, b.Layers, 1)
	require.Equal(t, "noise", b.Layers[0].Layer)
	require.InDelta(t, 1, b.Layers[0].Weight, 0)
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  stack.Config
		want []string
	}{
		"out of range": {
			stack.Config{Correctness: -1, Step: math.NaN(), Efficiency: math.Inf(1)},
			[]string{"correctness -1", "step NaN", "efficiency +Inf"},
		},
		"step too dear": {
			stack.Config{Correctness: 1, Step: 0.6, Efficiency: 0.4},
			[]string{"correctness 1 must exceed step 0.6 and efficiency 0.4"},
		},
		"nothing":         {stack.Config{}, []string{"nothing would be rewarded"}},
		"worthless noise": {stack.Config{Step: 1, Noise: true}, []string{"nothing would be rewarded"}},
	} {
		_, err := stack.New(c.cfg, nil)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		for _, want := range c.want {
			require.ErrorContains(t, err, want, name)
		}
	}
	require.NoError(t, stack.Config{Step: 1}.Validate(), "a stack of steps alone is an experiment")
}

func BenchmarkScore(b *testing.B) {
	tk, p := setup(b)
	rewards, err := stack.New(stack.DefaultConfig(), tk)
	require.NoError(b, err)
	traj := rewardtest.Trajectory(tk, p, solution)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := rewards.Score(b.Context(), p, traj); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "trajectories/s")
}
