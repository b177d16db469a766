package rollout_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
)

// teacher is a model of values written out by hand: texts with a word are worth so much, others nothing.
type teacher struct {
	word  string
	worth float32
	// unlikely are ended texts below this log-probability, which are worth nothing.
	unlikely float64
	asked    int
}

func (m *teacher) Score(_ context.Context, sequences []decode.Sequence) ([]decode.Scores, error) {
	out := make([]decode.Scores, len(sequences))
	value := func(ids ...[]hone.TokenID) float32 {
		text := ""
		for _, some := range ids {
			text += token.Arithmetic().Decode(some)
		}
		if strings.Contains(text, m.word) {
			return m.worth
		}
		return 0
	}
	for i, q := range sequences {
		m.asked++
		out[i].Values = make([]float32, len(q.Tokens))
		for t := range q.Tokens {
			out[i].Values[t] = value(q.Prompt, q.Tokens[:t])
		}
		out[i].Bootstrap = value(q.Prompt, q.Tokens)
	}
	return out, nil
}

func (m *teacher) Ended(value, logp float64) float64 {
	if logp < m.unlikely {
		return 0
	}
	return value
}

func TestAModelOfValuesGuidesEveryWayInPlaceOfTheHead(t *testing.T) {
	t.Parallel()
	for _, mode := range []rollout.Mode{
		rollout.ModeBestOf, rollout.ModeBeam, rollout.ModeLookahead, rollout.ModePUCT, rollout.ModeGumbel,
	} {
		f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 8 })
		f.script.values[prompt+bad1+bad2+bad3+wrong] = 1 // the head likes what is wrong
		in := rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: mode, Budget: 2500}
		own, err := f.roller.Evaluate(t.Context(), in)
		require.NoError(t, err)
		require.NotEqual(t, good1+good2+good3+right, own.Answers[0].Completion, "%s", mode)
		model := &teacher{word: good1, worth: 0.9, unlikely: math.Inf(-1)}
		got, err := f.roller.Valued(model).Evaluate(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, good1+good2+good3+right, got.Answers[0].Completion, "%s", mode)
		require.LessOrEqual(t, got.Generated(), 2500)
		require.Positive(t, model.asked)
		again, err := f.roller.Evaluate(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, own, again, "the roller without the model is what it was")
	}
}

func TestEndsThatThePolicyFindsUnlikelyAreWorthWhatTheModelSaysOfThem(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	in := rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: rollout.ModePUCT, Budget: 2500}
	model := &teacher{word: good1, worth: 0.9, unlikely: math.Log(0.29)} // its line has 0.3
	got, err := f.roller.Valued(model).Evaluate(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, good1+good2+good3+right, got.Answers[0].Completion)
	model.unlikely = math.Log(0.31)
	got, err = f.roller.Valued(model).Evaluate(t.Context(), in)
	require.NoError(t, err)
	require.NotEqual(t, good1+good2+good3+right, got.Answers[0].Completion)
}

func TestAStudySaysWhatEachStateCameTo(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Group = 8 })
	in := rollout.StudyInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem, Index: 2}}, Judge: f.judge, Budget: 600,
	}
	for name, roller := range map[string]*rollout.Roller{
		"led by the judge": f.roller, "led by a model that is wrong": f.roller.Valued(&teacher{word: bad1, worth: 1, unlikely: -99}),
	} {
		got, err := roller.Study(t.Context(), in)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Positive(t, got[0].Generated)
		targets := map[bool]map[string]float64{false: {}, true: {}}
		for _, e := range got[0].Examples {
			text := token.Arithmetic().Decode(e.Tokens)
			require.True(t, strings.HasPrefix(text, prompt) && strings.HasSuffix(text, "\n"), "%q ends with a step", text)
			for _, s := range e.States {
				at := strings.TrimPrefix(token.Arithmetic().Decode(e.Tokens[:s.At]), prompt)
				_, twice := targets[e.Sampled][at]
				require.False(t, twice, "%s: %q is one state", name, at)
				targets[e.Sampled][at] = s.Target
				require.Equal(t, strings.Contains(at, "Answer") || at == untrue, s.Ended, "%q, after which the script ends", at)
				if !e.Sampled && at != untrue { // which is two: open, and ended
					require.EqualValues(t, 1, s.Weight)
				}
			}
		}
		searched := targets[false]
		require.Zero(t, searched[bad1+bad2+bad3+wrong])
		require.EqualValues(t, 1, searched[good1+good2+good3+right], "%s: what the judge says", name)
		require.EqualValues(t, 1, searched[good1+good2], "all that follows is right")
		require.Contains(t, searched, bad1)
		require.Zero(t, searched[bad1])
		require.Greater(t, searched[""], 0.0, "%s: it went on after the greedy line, and after it was right", name)
		require.Less(t, searched[""], 1.0)
		sampled := targets[true]
		require.InDelta(t, math.Round(8*sampled[""]), 8*sampled[""], 1e-12, "a share of eight samples")
		require.Zero(t, sampled[bad1])

		again, err := roller.Study(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

func TestAStudyNeedsABudgetAndAJudge(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	slots := []rollout.Slot{{Problem: f.problem}}
	_, err := f.roller.Study(t.Context(), rollout.StudyInput{Slots: slots, Judge: f.judge})
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = f.roller.Study(t.Context(), rollout.StudyInput{Slots: slots, Budget: 100})
	require.ErrorIs(t, err, hone.ErrInvalid)
}
