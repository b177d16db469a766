package sft

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/policytest"
)

func TestGoldenUnlikelihood(t *testing.T) {
	t.Parallel()
	value, slope := unlikelihood([]float64{math.Log(0.3), math.Log(0.5)})
	require.InDelta(t, 0.16251892949777494, value, 1e-12) // -ln 0.85
	require.InDelta(t, 0.15/0.85, slope, 1e-12)
	value, slope = unlikelihood([]float64{0, 0}) // certainty
	require.InDelta(t, 9.21039, value, 1e-4)
	require.InDelta(t, 1e4, slope, 1)
	value, slope = unlikelihood([]float64{-1e4})
	require.Zero(t, value)
	require.Zero(t, slope)
}

func TestCompositeFiniteDifferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := composite{
			diversity: rapid.Float64Range(0, 1).Draw(t, "diversity"), constraint: rapid.Float64Range(0, 2).Draw(t, "constraint"),
			learned: 7, forbidden: 3,
		}
		spans := []span{{from: 0, to: 3}, {from: 4, to: 6, forbidden: true}, {from: 7, to: 8, forbidden: true}, {from: 8, to: 10}}
		rows := [2][]float64{}
		for i := range 11 {
			rows[0] = append(rows[0], rapid.Float64Range(-5, -0.05).Draw(t, "logp"))
			rows[1] = append(rows[1], rapid.Float64Range(0, 3).Draw(t, "entropy"))
			if i == 3 || i == 6 || i == 10 { // rows of prompts
				rows[0][i], rows[1][i] = math.NaN(), math.NaN()
			}
		}
		at := func() (float64, [2][]float64) {
			d := [2][]float64{make([]float64, 11), make([]float64, 11)}
			return c.evaluate(spans, rows[0], rows[1], d[0], d[1], new(seen)), d
		}
		_, d := at()
		const h = 1e-6
		for k := range 2 {
			for i := range 11 {
				if math.IsNaN(rows[k][i]) {
					if d[k][i] != 0 {
						t.Fatalf("a prompt's row %d has slope %v", i, d[k][i])
					}
					continue
				}
				x := rows[k][i]
				rows[k][i] = x + h
				up, _ := at()
				rows[k][i] = x - h
				down, _ := at()
				rows[k][i] = x
				if want := (up - down) / (2 * h); math.Abs(want-d[k][i]) > 1e-5*math.Max(1, math.Abs(want)) {
					t.Fatalf("input %d row %d: slope %v, finite difference %v", k, i, d[k][i], want)
				}
			}
		}
	})
}

// The tolerance is that of central differences over a float32 forward pass with steps of 1e-2 in weights.
func TestWholeCompositeFiniteDifferences(t *testing.T) {
	t.Parallel()
	in := input(t, 1)
	in.Config.ConstraintCoef, in.Config.DiversityCoef = 2, 0.5
	in.Examples[1].Forbidden, in.Examples[3].Forbidden = true, true
	in.Examples[3].Completion = in.Examples[3].Completion[:1]
	l, err := NewLearner(in.Params, in.Set, in.Config)
	require.NoError(t, err)
	batch, spans, tokens := pack(in.Examples[:5], []int{0, 1, 2, 3, 4})
	loss := func() float64 {
		saw, err := l.gradient(t.Context(), in.Config, batch, spans, tokens)
		require.NoError(t, err)
		return (-saw.logp-0.5*saw.entropy)/float64(tokens) + 2*saw.unlikelihood/2
	}
	loss()
	policytest.Slopes(t, in.Params.Flat(), l.trainer.Grads().Flat(), loss, 2e-3, 2e-3)
}

// With coefficients of next to nothing the composite loss fits as cross-entropy does.
func TestCompositeWithoutTermsIsCrossEntropy(t *testing.T) {
	t.Parallel()
	plain, err := Fit(t.Context(), input(t, 4))
	require.NoError(t, err)
	require.Zero(t, plain.Entropy)
	in := input(t, 4)
	in.Config.DiversityCoef = 1e-12
	got, err := Fit(t.Context(), in)
	require.NoError(t, err)
	require.InDelta(t, plain.FirstLoss, got.FirstLoss, 1e-6)
	require.InDelta(t, plain.LastEpochLoss, got.LastEpochLoss, 1e-3)
	require.Equal(t, plain.Tokens, got.Tokens)
	require.Positive(t, got.Entropy)
}

// Two demonstrations of one problem and a bonus for entropy: the policy is left with more ways on than the two.
func TestDiversityKeepsOtherWaysPossible(t *testing.T) {
	t.Parallel()
	entropy := func(coef float64) float64 {
		in := input(t, 60)
		in.Config.DiversityCoef = coef
		in.Examples = []Example{
			{Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{2, eos}}, {Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{3, eos}},
		}
		got, err := Fit(t.Context(), in)
		require.NoError(t, err)
		return got.Entropy
	}
	narrow, wide := entropy(1e-9), entropy(0.5)
	require.InDelta(t, math.Ln2/2, narrow, 0.1, "one of two first tokens, then the end")
	require.Greater(t, wide, narrow+0.2)
}

func TestWhatIsForbiddenBecomesUnlikely(t *testing.T) {
	t.Parallel()
	prob := func(coef float64) float64 {
		in := input(t, 60)
		in.Config.ConstraintCoef = coef
		// The first token is learned both ways; one of the two is forbidden besides.
		in.Examples = []Example{
			{Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{2, eos}}, {Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{3, eos}},
		}
		if coef > 0 {
			in.Examples = append(in.Examples, Example{Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{3}, Forbidden: true})
		}
		got, err := Fit(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, coef > 0, got.ConstraintLoss > 0)
		trainer, err := policy.NewTrainer(in.Params, in.Set, policy.TrainerOptions{})
		require.NoError(t, err)
		batch, _, _ := pack([]Example{{Prompt: []hone.TokenID{1}, Completion: []hone.TokenID{3}}}, []int{0})
		scores, err := trainer.Evaluate(t.Context(), batch)
		require.NoError(t, err)
		return math.Exp(float64(scores.Logp[0]))
	}
	require.InDelta(t, 0.5, prob(0), 0.1)
	require.Less(t, prob(4), 0.3)

	in := input(t, 1)
	in.Examples[2].Forbidden = true
	_, err := Fit(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "sft example 2: it is forbidden, and constraint_coef is 0")
}

func TestFaultsAreTheFirstBadSteps(t *testing.T) {
	t.Parallel()
	// stepped is a completion of two steps of two tokens each, with a reward for both.
	stepped := func(problem string, sample int, token hone.TokenID, rewards [2]float64, outcome hone.Outcome) hone.Scored {
		s := answer(problem, sample, token, 0, outcome)
		s.Trajectory.Prompt = []hone.TokenID{9}
		s.Trajectory.Tokens = []hone.TokenID{token, 10, 5, 10}
		s.Trajectory.Steps = []hone.Step{{From: 0, To: 2}, {From: 2, To: 4}}
		s.Breakdown.Steps = 2
		s.Breakdown.Layers[0].Terms = []hone.Term{{Step: 0, Score: rewards[0]}, {Step: 1, Score: rewards[1]}}
		return s
	}
	all := []hone.Scored{
		stepped("b", 0, 1, [2]float64{0, -1}, hone.OutcomeWrong),
		stepped("a", 3, 4, [2]float64{-1, 0}, hone.OutcomeWrong),
		stepped("a", 1, 2, [2]float64{-1, -1}, hone.OutcomeWrong),
		stepped("a", 2, 2, [2]float64{-1, -1}, hone.OutcomeWrong), // the same again
		stepped("a", 0, 1, [2]float64{0, 0}, hone.OutcomeWrong),
		stepped("a", 4, 6, [2]float64{-1, 0}, hone.OutcomeRight),
		stepped("a", 5, 7, [2]float64{-1, 0}, hone.OutcomeTimeout),
	}
	want := []Example{
		{Prompt: []hone.TokenID{9}, Completion: []hone.TokenID{2, 10}, Forbidden: true},
		{Prompt: []hone.TokenID{9}, Completion: []hone.TokenID{4, 10}, Forbidden: true},
		{Prompt: []hone.TokenID{9, 1, 10}, Completion: []hone.TokenID{5, 10}, Forbidden: true},
	}
	require.Equal(t, want, Faults(all, 9))
	slices.Reverse(all)
	require.Equal(t, want, Faults(all, 9))
	require.Equal(t, []Example{want[0], want[2]}, Faults(all, 1))
}
