package resources_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/resources"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task/choice"
)

func setup(t *testing.T, cfg resources.Config) (*resources.Layer, *choice.Task, hone.Problem) {
	t.Helper()
	tk := choice.New()
	p, err := tk.Pose("Which?", "A")
	require.NoError(t, err)
	l, err := resources.New(cfg, tk)
	require.NoError(t, err)
	return l, tk, p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	l, tk, p := setup(t, resources.DefaultConfig())
	rewardtest.Run(t, l, tk, p, "It is A.\n#### A\n", "#### B\n")
}

func TestWhatIsBeyondTheAllowanceIsTakenFromRightAnswersAlone(t *testing.T) {
	t.Parallel()
	l, tk, p := setup(t, resources.Config{WallSeconds: 2, MemoryMiB: 10, Span: 4})
	for name, c := range map[string]struct {
		text   string
		used   reward.Usage
		want   float64
		reason string
	}{
		"within": {
			"Hm.\n#### A\n", reward.Usage{Wall: 2 * time.Second, Memory: 1 << 20}, 0, "2.00 s, 2 are allowed; 1.0 MiB, 10 are allowed",
		},
		"time":         {"Hm.\n#### A\n", reward.Usage{Wall: 4 * time.Second, Memory: 1 << 20}, -0.25, "4.00 s"},
		"memory":       {"Hm.\n#### A\n", reward.Usage{Wall: time.Second, Memory: 30 << 20}, -0.5, "30.0 MiB"},
		"both":         {"Hm.\n#### A\n", reward.Usage{Wall: 4 * time.Second, Memory: 30 << 20}, -0.75, ""},
		"at most all":  {"Hm.\n#### A\n", reward.Usage{Wall: time.Hour, Memory: 1 << 40}, -1, ""},
		"not measured": {"Hm.\n#### A\n", reward.Usage{Wall: 4 * time.Second}, -0.25, "memory was not measured"},
	} {
		j, err := l.Judge(reward.WithUsage(t.Context(), c.used), p, rewardtest.Trajectory(tk, p, c.text))
		require.NoError(t, err)
		require.Len(t, j.Terms, 1, name)
		require.Equal(t, 1, j.Terms[0].Step, name)
		require.InDelta(t, c.want, j.Terms[0].Score, 1e-12, name)
		require.Contains(t, j.Terms[0].Reason, c.reason, name)
	}
	j, err := l.Judge(reward.WithUsage(t.Context(), reward.Usage{Wall: time.Hour}), p, rewardtest.Trajectory(tk, p, "#### B\n"))
	require.NoError(t, err)
	require.Empty(t, j.Terms, "a wrong answer has no length to save")
	require.NotEmpty(t, l.Unrepeatable())
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := resources.New(resources.Config{WallSeconds: -1, MemoryMiB: -2}, nil)
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{"wall_seconds -1", "memory_mib -2", "span 0"} {
		require.ErrorContains(t, err, want)
	}
	_, err = resources.New(resources.Config{Span: 1}, nil)
	require.ErrorContains(t, err, "nothing would be looked at")
}
