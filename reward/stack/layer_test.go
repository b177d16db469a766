package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/codetest"
	"github.com/hone-rl/hone/reward/expression"
	"github.com/hone-rl/hone/reward/resources"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/risk"
	"github.com/hone-rl/hone/reward/stack"
)

// TestAListOfTheSameLayersGivesTheSameBits holds the list against the three fields.
func TestAListOfTheSameLayersGivesTheSameBits(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	fields, err := stack.New(stack.DefaultConfig(), tk)
	require.NoError(t, err)
	list, err := stack.New(stack.Config{Layers: []stack.LayerConfig{
		{Layer: "correctness", Weight: 1}, {Layer: "step", Weight: 0.1}, {Layer: "efficiency", Weight: 0.05},
	}}, tk)
	require.NoError(t, err)
	for _, c := range rewardtest.Cases(tk, p, solution, circle) {
		a, err := fields.Score(t.Context(), c.Problem, c.Trajectory)
		require.NoError(t, err)
		b, err := list.Score(t.Context(), c.Problem, c.Trajectory)
		require.NoError(t, err)
		require.Equal(t, a, b, c.Name)
	}
}

func TestEveryLayerOfTheStackJudges(t *testing.T) {
	t.Parallel()
	tk, p := setup(t)
	rewards, err := stack.New(stack.Config{Layers: []stack.LayerConfig{
		{Layer: "correctness", Weight: 1},
		{Layer: "step", Weight: 0.1},
		{Layer: "format", Weight: 0.1, Schedule: reward.Schedule{{Cycle: 0, Factor: 1}, {Cycle: 40, Factor: 0}}},
		{Layer: "progress", Weight: 1},
		{Layer: "efficiency", Weight: 0.05, When: reward.WhenRight},
		{Layer: "risk", Weight: 0.1, Risk: &risk.Config{Rules: []risk.Rule{{Name: "doubt", Words: []string{"hm"}, Penalty: 0.5}}}},
		{
			Layer: "expression", Name: "bonus", Weight: 0.1, Clip: &reward.Bounds{Low: 0, High: 1},
			Expression: &expression.Config{Formula: `right && score["step"] == 0 ? 2 : 0`},
		},
	}}, tk)
	require.NoError(t, err)
	b, err := rewards.Score(t.Context(), p, rewardtest.Trajectory(tk, p, solution))
	require.NoError(t, err)
	require.Len(t, b.Layers, 7)
	require.Equal(t, "bonus", b.Layers[6].Layer)
	require.InDelta(t, 1.1, b.Total(), 1e-12)
	b, err = rewards.Score(t.Context(), p, rewardtest.Trajectory(tk, p, "hm\n"+solution))
	require.NoError(t, err)
	require.InDelta(t, -0.05, b.Layers[5].Total(), 1e-12)
	require.Zero(t, b.Layers[6].Total())
}

func TestListsAreRefused(t *testing.T) {
	t.Parallel()
	one := stack.LayerConfig{Layer: "correctness", Weight: 1}
	for want, layers := range map[string][]stack.LayerConfig{
		`layer "beauty": want one of codetest, correctness, efficiency`: {{Layer: "beauty", Weight: 1}},
		"options of risk":             {{Layer: "step", Weight: 1, Risk: &risk.Config{}}},
		"only an expression is named": {{Layer: "step", Name: "s", Weight: 1}},
		"is twice in the stack":       {one, one},
		"all weights are 0":           {{Layer: "correctness"}},
		"may earn 0.5 and a wrong one 0.6": {
			one,
			{Layer: "step", Weight: 0.5},
			{Layer: "expression", Weight: 0.6, Clip: &reward.Bounds{Low: 0, High: 1}, Expression: &expression.Config{Formula: "1"}},
		},
		"has no bounds":    {one, {Layer: "expression", Weight: 0.1, Expression: &expression.Config{Formula: "steps"}}},
		"formula of layer": {one, {Layer: "expression", Weight: 0.1, Expression: &expression.Config{Formula: "nothing + 1"}}},
		"want a formula":   {one, {Layer: "expression", Weight: 0.1}},
		"at cycle 10":      {one, {Layer: "step", Weight: 0.1, Schedule: reward.Schedule{{Cycle: 0, Factor: 1}, {Cycle: 10, Factor: 20}}}},
		"penalty 2":        {one, {Layer: "risk", Weight: 0.1, Risk: &risk.Config{Rules: []risk.Rule{{Name: "x", Pattern: "x", Penalty: 2}}}}},
		"missing argument": {one, {Layer: "risk", Weight: 0.1, Risk: &risk.Config{Rules: []risk.Rule{{Name: "x", Pattern: "*", Penalty: 1}}}}},
	} {
		err := stack.Config{Layers: layers}.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
	tested := func(partial float64) stack.LayerConfig {
		return stack.LayerConfig{Layer: "codetest", Weight: 1, Codetest: &codetest.Config{Partial: partial}}
	}
	for want, layers := range map[string][]stack.LayerConfig{
		"codetest must come first":         {one, tested(0)},
		"partial 1":                        {tested(1)},
		"may earn 0.4 and a wrong one 0.5": {tested(0.5), {Layer: "resources", Weight: 0.6}},
		"span 0":                           {tested(0), {Layer: "resources", Weight: 0.1, Resources: &resources.Config{WallSeconds: 1}}},
	} {
		require.ErrorContains(t, stack.Config{Layers: layers}.Validate(), want)
	}
	require.NoError(t, stack.Config{Layers: []stack.LayerConfig{tested(0.5), {Layer: "resources", Weight: 0.1}}}.Validate())
	allowed := stack.Config{WrongMayWin: true, Layers: []stack.LayerConfig{{Layer: "correctness", Weight: 1}, {Layer: "step", Weight: 2}}}
	require.NoError(t, allowed.Validate())
}
