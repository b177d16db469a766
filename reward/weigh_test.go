package reward_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

func scoreOf(t *testing.T, traj hone.Trajectory, layers ...reward.Weighted) hone.Breakdown {
	t.Helper()
	s, err := reward.NewStack(layers...)
	require.NoError(t, err)
	b, err := s.Score(t.Context(), hone.Problem{}, traj)
	require.NoError(t, err)
	return b
}

func terms(scores ...float64) reward.Judgement {
	var j reward.Judgement
	for i, s := range scores {
		j.Terms = append(j.Terms, hone.Term{Step: i, Score: s, Reason: "because"})
	}
	return j
}

func TestGatedLayersSpeakAndDoNotCount(t *testing.T) {
	t.Parallel()
	traj := hone.Trajectory{Steps: make([]hone.Step, 2)}
	for outcome, want := range map[hone.Outcome]float64{hone.OutcomeRight: 3, hone.OutcomeWrong: 5, hone.OutcomeUnparsable: 0} {
		b := scoreOf(t, traj,
			reward.Weighted{Layer: fake{name: "truth", judgement: reward.Judgement{Outcome: outcome}}, Weight: 1},
			reward.Weighted{Layer: fake{name: "a", judgement: terms(1, 2)}, Weight: 1, Gate: reward.WhenRight},
			reward.Weighted{Layer: fake{name: "b", judgement: terms(5)}, Weight: 1, Gate: reward.WhenWrong},
		)
		require.InDelta(t, want, b.Total(), 0, outcome)
		require.Len(t, b.Layers[1].Terms, 2, "what a layer found is shown even where it doesn't count")
	}
}

func TestClipHoldsTheTotalAndSaysSo(t *testing.T) {
	t.Parallel()
	traj := hone.Trajectory{Steps: make([]hone.Step, 3)}
	given := terms(-3, 1, -2)
	b := scoreOf(t, traj, reward.Weighted{Layer: fake{name: "a", judgement: given}, Weight: 2, Clip: &reward.Bounds{Low: -1, High: 1}})
	require.InDelta(t, -2, b.Total(), 1e-12)
	require.Equal(t, "because; the total of -4 is held at -1", b.Layers[0].Terms[2].Reason)
	require.InDelta(t, -2, given.Terms[2].Score, 0, "the layer's own terms stay")
	sum := 0.0
	for _, r := range b.StepRewards() {
		sum += r
	}
	require.InDelta(t, b.Total(), sum, 1e-12)
}

func TestScheduleIsLinearBetweenKnots(t *testing.T) {
	t.Parallel()
	s := reward.Schedule{{Cycle: 10, Factor: 0}, {Cycle: 20, Factor: 1}, {Cycle: 30, Factor: 0.5}}
	for cycle, want := range map[int]float64{0: 0, 10: 0, 15: 0.5, 20: 1, 25: 0.75, 30: 0.5, 99: 0.5} {
		require.InDelta(t, want, s.At(cycle), 1e-12, cycle)
	}
	require.InDelta(t, 1, reward.Schedule(nil).At(7), 0)
	b := scoreOf(t, hone.Trajectory{ID: hone.TrajectoryID{Iteration: 15}, Steps: make([]hone.Step, 1)},
		reward.Weighted{Layer: fake{name: "a", judgement: terms(1)}, Weight: 4, Schedule: s})
	require.InDelta(t, 2, b.Total(), 1e-12)
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	traj := hone.Trajectory{Steps: make([]hone.Step, 4)}
	per := reward.Weighted{Layer: fake{name: "a", judgement: terms(1, 1)}, Weight: 1, Normalise: reward.PerStep}
	require.InDelta(t, 0.5, scoreOf(t, traj, per).Total(), 1e-12)

	grouped := reward.Weighted{Weight: 3, Normalise: reward.PerGroup}
	plain := reward.Weighted{Layer: fake{name: "b", judgement: terms(7)}, Weight: 1}
	var group []hone.Breakdown
	var s *reward.Stack
	for _, total := range []float64{1, 2, 3, 4} {
		grouped.Layer = fake{name: "a", judgement: terms(total)}
		var err error
		s, err = reward.NewStack(grouped, plain)
		require.NoError(t, err)
		group = append(group, scoreOf(t, traj, grouped, plain))
	}
	require.True(t, s.Grouped())
	s.NormaliseGroup(group)
	deviation := math.Sqrt(5.0 / 3) // of 1, 2, 3, 4 with n - 1
	for i, b := range group {
		require.InDelta(t, 3*float64(i+1)/deviation+7, b.Total(), 1e-12)
	}
	same := []hone.Breakdown{scoreOf(t, traj, grouped), scoreOf(t, traj, grouped)}
	s.NormaliseGroup(same)
	require.InDelta(t, 12, same[0].Total(), 1e-12, "no spread is no unit")
}

func TestWeightedFaults(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]reward.Weighted{
		"weight": {Weight: math.NaN()},
		"gate":   {Gate: "sometimes"},
		"unit":   {Normalise: "days"},
		"clip":   {Clip: &reward.Bounds{Low: 1, High: 0}},
		"order":  {Schedule: reward.Schedule{{Cycle: 5}, {Cycle: 5}}},
		"factor": {Schedule: reward.Schedule{{Cycle: 5, Factor: -1}}},
	} {
		w.Layer = fake{name: "a"}
		_, err := reward.NewStack(w)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
}
