package reward_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// fake judges everything alike.
type fake struct {
	name      string
	judgement reward.Judgement
	err       error
}

func (f fake) Name() string { return f.name }

func (f fake) Judge(context.Context, hone.Problem, hone.Trajectory) (reward.Judgement, error) {
	return f.judgement, f.err
}

func TestScoreKeepsLayersApart(t *testing.T) {
	t.Parallel()
	length := reward.Judgement{Terms: []hone.Term{{Step: 0, Score: -1, Reason: "long"}}}
	truth := reward.Judgement{Outcome: hone.OutcomeWrong, Terms: []hone.Term{{Step: 1, Score: 2}}}
	s, err := reward.NewStack(
		reward.Weighted{Layer: fake{name: "length", judgement: length}, Weight: 0.5},
		reward.Weighted{Layer: fake{name: "truth", judgement: truth}, Weight: 1},
		reward.Weighted{Layer: fake{name: "second opinion", judgement: reward.Judgement{Outcome: hone.OutcomeRight}}, Weight: 0},
	)
	require.NoError(t, err)
	b, err := s.Score(t.Context(), hone.Problem{}, hone.Trajectory{Steps: make([]hone.Step, 2)})
	require.NoError(t, err)
	require.Equal(t, hone.OutcomeWrong, b.Outcome, "the first layer that verifies decides")
	require.Len(t, b.Layers, 3)
	require.Equal(t, []float64{-0.5, 2}, b.StepRewards())
	require.InDelta(t, 1.5, b.Total(), 0)
}

func TestScoreIsWholeOrNone(t *testing.T) {
	t.Parallel()
	crash := errors.New("judge is down")
	for name, c := range map[string]struct {
		layer fake
		want  error
	}{
		"a layer's error":    {fake{name: "a", err: crash}, crash},
		"term off the steps": {fake{name: "a", judgement: reward.Judgement{Terms: []hone.Term{{Step: 1}}}}, hone.ErrInvalid},
		"NaN":                {fake{name: "a", judgement: reward.Judgement{Terms: []hone.Term{{Score: math.NaN()}}}}, hone.ErrNonFinite},
	} {
		s, err := reward.NewStack(reward.Weighted{Layer: fake{name: "good"}}, reward.Weighted{Layer: c.layer, Weight: 1})
		require.NoError(t, err)
		b, err := s.Score(t.Context(), hone.Problem{}, hone.Trajectory{ID: hone.TrajectoryID{Run: "r"}, Steps: make([]hone.Step, 1)})
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, "trajectory r/0/0", name)
		require.Empty(t, b, name)
	}
}

func TestNewStackRefuses(t *testing.T) {
	t.Parallel()
	layer := fake{name: "a"}
	for name, layers := range map[string][]reward.Weighted{
		"nothing": nil, "one name twice": {{Layer: layer}, {Layer: layer}}, "negative": {{Layer: layer, Weight: -1}},
		"NaN": {{Layer: layer, Weight: math.NaN()}}, "infinite": {{Layer: layer, Weight: math.Inf(1)}},
	} {
		_, err := reward.NewStack(layers...)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
}
