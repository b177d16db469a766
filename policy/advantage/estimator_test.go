package advantage

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// pair is two trajectories of one problem and one of another, with values and step rewards.
func pair() []Trajectory {
	return []Trajectory{
		{Group: "a", Rewards: []float64{0, 0.5, 0, 1}, Values: []float64{0.1, 0.2, 0.3, 0.4}, Ends: []int{2, 4}},
		{Group: "b", Rewards: []float64{-1}, Values: []float64{0.5}, Ends: []int{1}},
		{Group: "a", Rewards: []float64{0, 0}, Values: []float64{0.2, 0.1}, Ends: []int{2}},
	}
}

func TestValidateSaysWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		require.NoError(t, Estimator{Advantage: k, Gamma: 1, Lambda: 0.95}.Validate(), k)
	}
	for name, x := range map[string]struct {
		estimator Estimator
		message   string
	}{
		"unknown":              {Estimator{Advantage: "best", Gamma: 1}, "advantage is best, must be one of [gae grpo"},
		"lambda":               {Estimator{Advantage: GAE, Lambda: 1.5}, "lambda is 1.5"},
		"lambda of the critic": {Estimator{Advantage: GAE, LambdaValue: math.NaN()}, "lambda_value is NaN"},
		"alpha":                {Estimator{Advantage: GAE, LambdaAlpha: -1}, "lambda_alpha is -1"},
		"alpha without lambda": {Estimator{Advantage: GRPO, Gamma: 1, LambdaAlpha: 0.05}, "0 with grpo, which has no lambda"},
		"discounted groups":    {Estimator{Advantage: RLOO, Gamma: 0.9}, "gamma is 0.9, must be 1 with rloo"},
	} {
		err := x.estimator.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, x.message)
	}
}

// The returns of the value head have a lambda of their own, and no estimator changes them.
func TestReturnsHaveTheirOwnLambda(t *testing.T) {
	t.Parallel()
	for _, k := range []Kind{GAE, GRPO, DrGRPO, RLOO, ReinforcePP, ReinforcePPBaseline, MonteCarlo} {
		got, _, err := Estimator{Advantage: k, Gamma: 1, Lambda: 0.5, LambdaValue: 1}.Estimate(pair())
		require.NoError(t, err)
		require.InDeltaSlice(t, []float64{1.5, 1.5, 1, 1}, got[0].Returns, 1e-12)
		got, _, err = Estimator{Advantage: k, Gamma: 1, Lambda: 0.5}.Estimate(pair())
		require.NoError(t, err)
		e := Episode{Rewards: pair()[0].Rewards, Values: pair()[0].Values}
		_, want, err := e.Advantages(1, 0.5)
		require.NoError(t, err)
		require.Equal(t, want, got[0].Returns)
	}
}

// With alpha 0.5 four tokens have lambda 1 - 1/2, and one or two have 0.
func TestLambdaGoesWithTheLength(t *testing.T) {
	t.Parallel()
	e := Estimator{Advantage: GAE, Gamma: 1, Lambda: 1, LambdaAlpha: 0.5}
	require.InDelta(t, 0.5, e.policyLambda(4), 0)
	require.InDelta(t, 0, e.policyLambda(2), 0)
	require.InDelta(t, 0, e.policyLambda(1), 0)
	require.InDelta(t, 1-1/(0.05*1000), Estimator{LambdaAlpha: 0.05}.policyLambda(1000), 1e-15)

	got, raw, err := e.Estimate(pair())
	require.NoError(t, err)
	var all []float64
	for i, lambda := range []float64{0.5, 0, 0} {
		x := pair()[i]
		a, _, err := Episode{Rewards: x.Rewards, Values: x.Values}.Advantages(1, lambda)
		require.NoError(t, err)
		all = append(all, a...)
	}
	mean, variance := Moments(all, nil)
	require.InDelta(t, mean, raw.Mean, 1e-15)
	require.InDelta(t, math.Sqrt(variance), raw.Std, 1e-15)
	Whiten(all, nil)
	require.Equal(t, all[:4], got[0].Advantages)
	require.InDeltaSlice(t, []float64{1.5, 1.5, 1, 1}, got[0].Returns, 1e-12, "the returns keep lambda 1")
}

func TestEstimatorsByHand(t *testing.T) {
	t.Parallel()
	// Rewards: 1.5 and 0 in group a, -1 alone in group b. To go: 1.5 1.5 1 1, -1, 0 0.
	std := math.Sqrt(2 * 0.75 * 0.75)
	for k, want := range map[Kind][][]float64{
		GRPO: {
			{0.75 / (std + 1e-6), 0.75 / (std + 1e-6), 0.75 / (std + 1e-6), 0.75 / (std + 1e-6)},
			{0},
			{-0.75 / (std + 1e-6), -0.75 / (std + 1e-6)},
		},
		DrGRPO:     {{0.75, 0.75, 0.75, 0.75}, {0}, {-0.75, -0.75}},
		MonteCarlo: {{1.5 - 0.5/3, 1.5 - 0.5/3, 1 - 0.5/3, 1 - 0.5/3}, {-1 - 0.5/3}, {-0.5 / 3, -0.5 / 3}},
	} {
		got, _, err := Estimator{Advantage: k, Gamma: 1}.Estimate(pair())
		require.NoError(t, err)
		for i := range want {
			require.InDeltaSlice(t, want[i], got[i].Advantages, 1e-12, "%s %d", k, i)
		}
	}
}

func TestReinforcePPIsWhitenedOverTheBatch(t *testing.T) {
	t.Parallel()
	got, _, err := Estimator{Advantage: ReinforcePP, Gamma: 0.5}.Estimate(pair())
	require.NoError(t, err)
	want := []float64{0.25 + 0.125, 0.5 + 0.25, 0.5, 1, -1, 0, 0}
	Whiten(want, nil)
	require.InDeltaSlice(t, want, slices.Concat(got[0].Advantages, got[1].Advantages, got[2].Advantages), 1e-12)
}

// The one without another of its problem stays at 0, in the mean of no other.
func TestChecklist21LoneSampleIsLeftOutOfTheBaseline(t *testing.T) {
	t.Parallel()
	got, _, err := Estimator{Advantage: ReinforcePPBaseline, Gamma: 1}.Estimate(pair())
	require.NoError(t, err)
	want := []float64{0.75, 0.75, 0.25, 0.25, -0.75, -0.75}
	Whiten(want, nil)
	require.InDeltaSlice(t, want[:4], got[0].Advantages, 1e-12)
	require.Equal(t, []float64{0}, got[1].Advantages)
	require.InDeltaSlice(t, want[4:], got[2].Advantages, 1e-12)
	for _, k := range []Kind{GRPO, DrGRPO, RLOO} {
		got, _, err := Estimator{Advantage: k, Gamma: 1}.Estimate(pair()[1:2])
		require.NoError(t, err)
		require.Equal(t, []float64{0}, got[0].Advantages, k)
	}
}

func TestTreeComparesAStepWithItsSiblings(t *testing.T) {
	t.Parallel()
	x := Trajectory{
		Rewards: make([]float64, 5), Values: make([]float64, 5), Ends: []int{2, 3, 5},
		Branches: []Branch{
			{Q: 0.5, Siblings: []Sibling{{Q: 0.5, Weight: 3}, {Q: 0, Weight: 1}, {Q: 1, Weight: 0}}},
			{Q: 0.25, Siblings: []Sibling{{Q: 0.25, Weight: 1}, {Q: 0.75, Weight: 1}}},
			{}, // beyond the tree
		},
	}
	got, raw, err := Estimator{Advantage: Tree, Gamma: 1}.Estimate([]Trajectory{x})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0.125, 0.125, -0.25, 0, 0}, got[0].Advantages, 1e-15)
	require.InDelta(t, 0, raw.Mean, 1e-15)

	for name, edit := range map[string]func(*Trajectory){
		"no branches":     func(x *Trajectory) { x.Branches = nil },
		"negative weight": func(x *Trajectory) { x.Branches = []Branch{{}, {}, {Siblings: []Sibling{{Weight: 2}, {Weight: -1}}}} },
		"no weight":       func(x *Trajectory) { x.Branches = []Branch{{}, {}, {Siblings: make([]Sibling, 2)}} },
	} {
		y := x
		edit(&y)
		_, _, err := Estimator{Advantage: Tree, Gamma: 1}.Estimate([]Trajectory{y})
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
	x.Branches[1].Q = math.NaN()
	_, _, err = Estimator{Advantage: Tree, Gamma: 1}.Estimate([]Trajectory{x})
	require.ErrorIs(t, err, hone.ErrNonFinite)
}
