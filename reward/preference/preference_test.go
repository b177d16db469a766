package preference_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task/choice"
)

// model likes long completions, and those that were ended.
type model struct {
	r   float64
	err error
}

func (model) Digest() string { return digest }

func (m model) Score(_ context.Context, _, completion string, ended bool) (r float64, why string, err error) {
	switch {
	case m.err != nil || m.r != 0:
		return m.r, "", m.err
	case strings.Contains(completion, "\x00"):
		return 0, "the model has no words for it", nil
	case ended:
		return 0.25 * float64(len(strings.Fields(completion))), "", nil
	}
	return -1, "", nil
}

var digest = strings.Repeat("0a", 32)

func layer(t *testing.T, m model) *preference.Layer {
	t.Helper()
	open := func(preference.Config) (preference.Scorer, error) { return m, nil }
	l, err := preference.New(preference.Config{Model: "m", Digest: digest}, open)
	require.NoError(t, err)
	return l
}

func TestConformance(t *testing.T) {
	t.Parallel()
	tk := choice.New()
	p, err := tk.Pose("Which?", "A")
	require.NoError(t, err)
	rewardtest.Run(t, layer(t, model{}), tk, p, "It is A.\n#### A\n")
}

func TestTheScoreIsTheProbabilityOfBeingPreferred(t *testing.T) {
	t.Parallel()
	tk := choice.New()
	p, err := tk.Pose("Which?", "A")
	require.NoError(t, err)
	traj := rewardtest.Trajectory(tk, p, "It is A.\n#### A\n")
	j, err := layer(t, model{r: math.Log(3)}).Judge(t.Context(), p, traj)
	require.NoError(t, err)
	require.Equal(t, []hone.Term{{Step: 1, Score: j.Terms[0].Score, Reason: "model 0a0a0a0a0a0a: r = 1.0986"}}, j.Terms)
	require.InDelta(t, 0.75, j.Terms[0].Score, 1e-12)
	require.Empty(t, j.Outcome)

	traj.Finish = hone.FinishLength
	j, err = layer(t, model{}).Judge(t.Context(), p, traj)
	require.NoError(t, err)
	require.Equal(t, "model 0a0a0a0a0a0a: r = -1.0000", j.Terms[0].Reason, "the model is told that it was cut off")

	j, err = layer(t, model{}).Judge(t.Context(), p, rewardtest.Trajectory(tk, p, "\x00"))
	require.NoError(t, err)
	require.Zero(t, j.Terms[0].Score)
	require.Contains(t, j.Terms[0].Reason, "no words for it")

	_, err = layer(t, model{r: math.NaN()}).Judge(t.Context(), p, traj)
	require.ErrorIs(t, err, hone.ErrNonFinite)
	broken := errors.New("broken")
	_, err = layer(t, model{err: broken}).Judge(t.Context(), p, traj)
	require.ErrorIs(t, err, broken)
}

func TestTheModelIsTheOneThatWasNamed(t *testing.T) {
	t.Parallel()
	open := func(preference.Config) (preference.Scorer, error) { return model{}, nil }
	for want, cfg := range map[string]preference.Config{
		"want the file":    {Digest: digest},
		`digest ""`:        {Model: "m"},
		`digest "0a"`:      {Model: "m", Digest: "0a"},
		"has the digest":   {Model: "m", Digest: strings.Repeat("0b", 32)},
		"the model's, 64 ": {},
	} {
		_, err := preference.New(cfg, open)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	_, err := preference.New(preference.Config{Model: "m", Digest: digest}, nil)
	require.ErrorContains(t, err, "no reward model can be opened here")
	gone := errors.New("gone")
	open = func(preference.Config) (preference.Scorer, error) { return nil, gone }
	_, err = preference.New(preference.Config{Model: "m", Digest: digest}, open)
	require.ErrorIs(t, err, gone)
	require.ErrorContains(t, err, "reward model m")
}
