package ppo

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
)

// scored is a trajectory of n tokens in steps of two, with the rewards on its steps and nothing else remarkable.
func scored(number, n int, rewards ...float64) Scored {
	t := hone.Trajectory{
		ID:      hone.TrajectoryID{Run: "r", Sample: number},
		Problem: hone.Problem{Task: "toy", Key: "one"},
		Source:  hone.SourceSample,
		Prompt:  []hone.TokenID{1, 2, 3},
		Finish:  hone.FinishStop,
	}
	for i := range n {
		t.Tokens = append(t.Tokens, hone.TokenID(i%4))
		t.Logp = append(t.Logp, -0.5)
		t.Values = append(t.Values, 0)
	}
	layer := hone.LayerScore{Layer: "toy", Weight: 1}
	for at := 0; at < n; at += 2 {
		t.Steps = append(t.Steps, hone.Step{From: at, To: min(at+2, n)})
	}
	for i, r := range rewards {
		layer.Terms = append(layer.Terms, hone.Term{Step: i, Score: r})
	}
	return Scored{Trajectory: t, Breakdown: hone.Breakdown{
		Outcome: hone.OutcomeWrong, Layers: []hone.LayerScore{layer}, Steps: len(t.Steps),
	}}
}

// prepared gathers and estimates, with the reference saying ref of every token.
func prepared(t *testing.T, c Config, beta, ref float64, all ...Scored) []*sample {
	t.Helper()
	samples, _, _, err := gather(all, c, 0)
	require.NoError(t, err)
	for _, s := range samples {
		s.logpRef = make([]float64, len(s.logpOld))
		for i := range s.logpRef {
			s.logpRef[i] = ref
		}
	}
	_, err = estimate(samples, c, beta, 0)
	require.NoError(t, err)
	return samples
}

func TestChecklist10TerminationAndTruncation(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Lambda = 1
	for _, x := range []struct {
		name       string
		finish     hone.Finish
		truncation Truncation
		want       float64
	}{
		{"an end is worth nothing more", hone.FinishStop, TruncationBootstrap, 1},
		{"a cut is worth the value after it", hone.FinishLength, TruncationBootstrap, 1.75},
		{"a cut that is an end", hone.FinishLength, TruncationTerminal, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.Truncation = x.truncation
			s := scored(0, 3, 0, 1)
			s.Trajectory.Finish, s.Trajectory.Bootstrap = x.finish, 0.75
			got := prepared(t, c, 0, 0, s)
			require.Equal(t, []float64{x.want, x.want, x.want}, got[0].returns)
		})
	}
}

func TestChecklist11RewardLandsOnceOnTheStepsLastToken(t *testing.T) {
	t.Parallel()
	got := prepared(t, DefaultConfig(), 0, 0, scored(0, 5, 0.25, -1, 3))
	require.Equal(t, []float64{0, 0.25, 0, -1, 3}, got[0].rewards)
	require.Equal(t, []int{2, 4, 5}, got[0].ends)
}

func TestChecklist12DivergenceIsChargedOnce(t *testing.T) {
	t.Parallel()
	const beta, ref = 0.1, -1.5
	in := prepared(t, DefaultConfig(), beta, ref, scored(0, 2, 1))[0]
	require.InDeltaSlice(t, []float64{-0.1, 0.9}, in.rewards, 1e-12)
	require.Equal(t, []float64{0, 1}, in.task)
	loss, slope := newObjective(DefaultConfig(), beta).klTerm(-0.5, ref)
	require.Zero(t, loss)
	require.Zero(t, slope)

	for _, penalty := range []KLPenalty{KLInLossK2, KLInLossK3} {
		c := DefaultConfig()
		c.KLPenalty = penalty
		in = prepared(t, c, beta, ref, scored(0, 2, 1))[0]
		require.Equal(t, in.task, in.rewards)
		loss, slope = newObjective(c, beta).klTerm(-0.5, ref)
		require.Positive(t, loss)
		require.Positive(t, slope)
	}
}

func TestChecklist14ReturnsAreUnwhitened(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	for _, kind := range []advantage.Kind{advantage.GAE, advantage.RLOO} {
		c.Advantage = kind
		a, b := scored(0, 4, 0, 1), scored(1, 6, 0, 0, 3)
		a.Trajectory.Values = []float32{0.5, 0.25, 0.5, 0.75}
		for _, s := range prepared(t, c, 0, 0, a, b) {
			e := advantage.Episode{Rewards: s.rewards, Values: s.valuesOld}
			_, want, err := e.Advantages(c.Gamma, c.Lambda)
			require.NoError(t, err)
			require.Equal(t, want, s.returns)
		}
	}
}

func TestChecklist15WhitenedOverTheWholeBatch(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	samples := prepared(t, c, 0, 0, scored(0, 4, 0, 1), scored(1, 6, 0, 0, 3), scored(2, 2, -2))
	var all []float64
	for _, s := range samples {
		all = append(all, s.advantages...)
	}
	mean, variance := advantage.Moments(all, nil)
	require.InDelta(t, 0, mean, 1e-9)
	require.InDelta(t, 1, variance, 1e-6)
	own, _ := advantage.Moments(samples[1].advantages, nil)
	require.NotZero(t, own)
}

func TestChecklist21LoneSampleStaysAtZeroAmongGroups(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Advantage = advantage.RLOO
	lone := scored(2, 2, 5)
	lone.Trajectory.Problem.Key = "two"
	got := prepared(t, c, 0, 0, scored(0, 2, 1), scored(1, 2, 0), lone)
	require.Equal(t, []float64{0, 0}, got[2].advantages)
	require.Positive(t, got[0].advantages[0])
	require.InDelta(t, -got[0].advantages[0], got[1].advantages[0], 1e-12)
}

func TestChecklist37ZeroValuesMakeAdvantagesDiscountedRewards(t *testing.T) {
	t.Parallel()
	e := advantage.Episode{Rewards: []float64{0, 0, 1}, Values: make([]float64, 3)}
	adv, _, err := e.Advantages(1, 0.95)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0.95 * 0.95, 0.95, 1}, adv, 1e-12)
}

// Nothing multiplies a reward, so a cut trajectory with a bad reward never fares better than the same one that ended.
func TestChecklist19CuttingDoesNotHelpABadReward(t *testing.T) {
	t.Parallel()
	for _, truncation := range []Truncation{TruncationBootstrap, TruncationTerminal} {
		c := DefaultConfig()
		c.Truncation = truncation
		ended, cut := scored(0, 4, 0, -1), scored(1, 4, 0, -1)
		cut.Trajectory.Finish = hone.FinishLength // with a value of 0 after it
		got := prepared(t, c, 0, 0, ended, cut)
		require.Equal(t, got[0].returns, got[1].returns)
		require.Equal(t, got[0].advantages, got[1].advantages)
	}
}

func TestGatherLeavesOutAndCounts(t *testing.T) {
	t.Parallel()
	all := make([]Scored, 9)
	for i := range all {
		all[i] = scored(i, 2, 1)
	}
	all[1].Breakdown.Outcome = hone.OutcomeTimeout
	all[2].Breakdown.Outcome = hone.OutcomeCrashed
	all[3].Breakdown.Outcome = hone.OutcomeUnparsable
	all[4].Trajectory.Finish = hone.FinishError
	all[5].Trajectory.Source = hone.SourceSearch // wrong
	all[6].Trajectory.Source, all[6].Breakdown.Outcome = hone.SourceSearch, hone.OutcomeRight
	all[6].Trajectory.Logp, all[6].Trajectory.Values = nil, nil
	all[7].Breakdown.Outcome = hone.OutcomeRight
	slices.Reverse(all)

	samples, imitations, census, err := gather(all, DefaultConfig(), 0)
	require.NoError(t, err)
	require.Equal(t, Census{Sampled: 3, Imitated: 1, Unjudged: 3, Failed: 1, Unwanted: 1}, census)
	var ids []int
	for _, s := range append(samples, imitations...) {
		ids = append(ids, s.trajectory.ID.Sample)
	}
	require.Equal(t, []int{0, 7, 8, 6}, ids)

	c := DefaultConfig()
	c.ImitationCoef = 0
	_, imitations, census, err = gather(all, c, 0)
	require.NoError(t, err)
	require.Empty(t, imitations)
	require.Equal(t, 2, census.Unwanted)
}

func TestChecklist32AllMaskedBatchIsAnError(t *testing.T) {
	t.Parallel()
	_, _, _, err := gather(nil, DefaultConfig(), 0)
	require.ErrorIs(t, err, hone.ErrInvalid)
	out := scored(0, 2, 1)
	out.Breakdown.Outcome = hone.OutcomeTimeout
	_, _, census, err := gather([]Scored{out}, DefaultConfig(), 0)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.Equal(t, 1, census.Unjudged)
}

func TestGatherRefusesBadTrajectories(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		edit func(*Scored)
		want error
	}{
		"no tokens":              {func(s *Scored) { s.Trajectory.Tokens = nil }, hone.ErrInvalid},
		"no prompt":              {func(s *Scored) { s.Trajectory.Prompt = nil }, hone.ErrInvalid},
		"short logp":             {func(s *Scored) { s.Trajectory.Logp = s.Trajectory.Logp[:1] }, hone.ErrInvalid},
		"NaN logp":               {func(s *Scored) { s.Trajectory.Logp[2] = float32(math.NaN()) }, hone.ErrNonFinite},
		"infinite value":         {func(s *Scored) { s.Trajectory.Values[0] = float32(math.Inf(1)) }, hone.ErrNonFinite},
		"gap between steps":      {func(s *Scored) { s.Trajectory.Steps[1].From++ }, hone.ErrInvalid},
		"steps end early":        {func(s *Scored) { s.Trajectory.Steps[1].To-- }, hone.ErrInvalid},
		"breakdown of others":    {func(s *Scored) { s.Breakdown.Steps++ }, hone.ErrInvalid},
		"NaN reward":             {func(s *Scored) { s.Breakdown.Layers[0].Terms[0].Score = math.NaN() }, hone.ErrNonFinite},
		"longer than the budget": {func(s *Scored) { s.Trajectory.Prompt = make([]hone.TokenID, 5000) }, hone.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scored(4, 4, 1, 1)
			x.edit(&s)
			_, _, _, err := gather([]Scored{s}, DefaultConfig(), 0)
			require.ErrorIs(t, err, x.want)
			require.ErrorContains(t, err, "r/0/4")
		})
	}
	_, _, _, err := gather([]Scored{scored(1, 2, 1), scored(1, 2, 1)}, DefaultConfig(), 0)
	require.ErrorContains(t, err, "twice")
}

func TestGroupsThatEarnTheSameAreLeftOut(t *testing.T) {
	t.Parallel()
	world := func(problem string, totals ...float64) (out []*sample) {
		for _, total := range totals {
			out = append(out, &sample{trajectory: &hone.Trajectory{Problem: hone.Problem{Key: problem}}, task: []float64{0, total}})
		}
		return out
	}
	samples := slices.Concat(world("mixed", 1, 0, 0.9), world("wrong", 0, -0.1), world("right", 1, 1), world("single", 1))

	kept, uniform := spreadOut(samples, 0.5)
	require.Equal(t, samples[:3], kept)
	require.Equal(t, 5, uniform)

	kept, uniform = spreadOut(samples, 0)
	require.Equal(t, samples, kept)
	require.Zero(t, uniform)

	kept, uniform = spreadOut(samples[3:], 0.5)
	require.Equal(t, samples[3:], kept, "nothing left to train on is no update: then all are kept")
	require.Zero(t, uniform)
}
