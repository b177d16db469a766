package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// lay lays texts over the defaults.
func lay(t *testing.T, texts ...string) (config, error) {
	t.Helper()
	c := defaultConfig()
	for _, text := range texts {
		if err := (layer{name: "file.yaml", text: []byte(text)}).over(&c); err != nil {
			return c, err
		}
	}
	c.settle()
	return c, nil
}

func TestPresetsParseAndAreValid(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"countdown-1m", "countdown-sos", "demo", "game24-10m", "game24-long", "game24-short"}, presetNames())
	for _, name := range presetNames() {
		l, err := presetLayer(name)
		require.NoError(t, err)
		c := defaultConfig()
		require.NoError(t, l.over(&c), name)
		c.settle()
		require.NoError(t, c.Validate(), name)
		require.Equal(t, c.Cycles, c.Plan.Cycles, name)
	}
	for _, name := range []string{"demon", "", "../demo", "a/b"} {
		_, err := presetLayer(name)
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, "countdown-1m, countdown-sos, demo, game24-10m, game24-long, game24-short")
	}
}

func TestALayerChangesWhatItListsAndNothingElse(t *testing.T) {
	t.Parallel()
	want := defaultConfig()
	want.PPO.LearningRate, want.Game24.Traces.MaxResult, want.Plan.Shards = 3e-4, 60, 7
	want.Policy.Window, want.Policy.MoE.Experts, want.Policy.MoE.BiasRate = 64, 8, 0.001
	want.settle()
	first := "policy: {window: 64, moe: {experts: 8, bias_rate: 1e-3}}\nppo: {learning_rate: 3e-4}\n" +
		"game24:\n  traces:\n    max_result: 60\n"
	got, err := lay(t, first, "# nothing\n", "", "plan:\n  shards: 7\n")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestCyclesOfThePlanAreTheJobsUnlessSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"cycles: 7": 7, "cycles: 7\nplan: {cycles: 3}": 3, "plan: {cycles: 0}": 0} {
		c, err := lay(t, text)
		require.NoError(t, err)
		require.Equal(t, want, c.Plan.Cycles, text)
	}
}

func TestFaultsOfALayerNamePlaceAndField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"unknown at the top":   {"task: game24\ncycels: 3\n", "file.yaml:2:1: cycels: unknown field; want one of seed, task, "},
		"unknown further down": {"ppo:\n  # a comment\n  learning_rat: 1\n", "file.yaml:3:3: ppo.learning_rat: unknown field; want one of "},
		"unknown in a list": {
			"plan: {every: [{split: train, mod: greedy}]}\n", "plan.every[0].mod: unknown field; want one of split, mode, limit",
		},
		"text for a number":    {"ppo: {gamma: much}", "file.yaml:1:14: ppo.gamma: much: want a finite number"},
		"fraction for a count": {"prompts: 1.5", "file.yaml:1:10: prompts: 1.5: want an integer"},
		"number for a name":    {"task: 24", "task: 24: want text"},
		"yes for true":         {"reward: {noise: 1}", "reward.noise: 1: want true or false"},
		"null":                 {"prompts: null", "prompts: null: want an integer"},
		"empty section":        {"ppo:\n", "ppo is empty: want fields"},
		"number for a section": {"ppo: 5", "ppo is 5: want fields, each with its value"},
		"a list for the file":  {"- 1\n", "the file is - 1: want fields"},
		"twice":                {"seed: 1\nseed: 2\n", `mapping key "seed" already defined`},
		"two documents":        {"seed: 1\n---\nseed: 2\n", "a second document; want one"},
		"not a number":         {"ppo: {gamma: .nan}", "ppo.gamma: .nan: want a finite number"},
		"infinite":             {"ppo: {gamma: .inf}", "ppo.gamma: .inf: want a finite number"},
		"negative seed":        {"seed: -1", "file.yaml:1:7"},
		"too large":            {"seed: 99999999999999999999", "file.yaml:1:7"},
		"not closed":           {"ppo: {gamma: 1\n", "file.yaml:1:6"},
		"hidden field":         {"game24: {Yao: [[1, 2, 3, 4]]}", "game24.Yao: unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := defaultConfig()
			got := before
			err := layer{name: "file.yaml", text: []byte(c.text)}.over(&got)
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, describe(err), "\n")
			require.Equal(t, before, got)
		})
	}
}

func TestAllFaultsOfALayerAreReported(t *testing.T) {
	t.Parallel()
	_, err := lay(t, "cycels: 3\nprompts: many\nppo: {gama: 1}\n")
	require.ErrorContains(t, err, "cycels")
	require.ErrorContains(t, err, "many")
	require.ErrorContains(t, err, "gama")
	require.Len(t, strings.Split(describe(err), "\n"), 3)
}

func TestSetChangesOneField(t *testing.T) {
	t.Parallel()
	c := defaultConfig()
	for _, assignment := range []string{
		"seed=18446744073709551615", "task=countdown", "ppo.learning_rate=3e-4", "reward.noise=true", "game24.traces.max_result=9",
		"plan.every=[{split: train, mode: search, limit: 3}]", "plan.start=[]",
	} {
		l, err := setLayer(assignment)
		require.NoError(t, err)
		require.NoError(t, l.over(&c), assignment)
	}
	require.Equal(t, uint64(1<<64-1), c.Seed)
	require.Equal(t, "countdown", c.Task)
	require.InDelta(t, 3e-4, c.PPO.LearningRate, 0)
	require.True(t, c.Reward.Noise)
	require.Equal(t, 9, c.Game24.Traces.MaxResult)
	require.Len(t, c.Plan.Every, 1)
	require.Equal(t, 3, c.Plan.Every[0].Limit)
	require.Empty(t, c.Plan.Start)
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	for assignment, want := range map[string]string{
		"":                      "want a field and its value",
		"ppo.kl_coef":           "want a field and its value",
		"ppo.kl_coef=":          "the value is missing",
		"=1":                    "is no path of a field",
		"ppo..kl_coef=1":        "is no path of a field",
		"{a: 1}=1":              "is no path of a field",
		"ppo.kl_cof=1":          "--set ppo.kl_cof=1: ppo.kl_cof: unknown field; want one of advantage, ",
		"pp.kl_coef=1":          "pp: unknown field; want one of seed, ",
		"prompts=two":           "prompts: two: want an integer",
		"prompts=1\nseed=2":     "want one line",
		"ppo.gamma=[1":          "--set ppo.gamma=[1: ",
		"ppo=1":                 "ppo is 1: want fields",
		"prompts.deep=1":        "want an integer",
		"ppo.learning_rate=1 2": "want a finite number",
	} {
		l, err := setLayer(assignment)
		if err == nil {
			c := defaultConfig()
			err = l.over(&c)
		}
		require.ErrorIs(t, err, hone.ErrInvalid, assignment)
		require.ErrorContains(t, err, want, assignment)
	}
}

func TestValidationReportsEveryFault(t *testing.T) {
	t.Parallel()
	c, err := lay(t, "prompts: 0\nppo: {gamma: 2, epochs: 0}\nplan: {shards: 0}\n")
	require.NoError(t, err)
	said := describe(c.Validate())
	for _, want := range []string{"prompts 0", "gamma is 2", "epochs is 0", "shards 0"} {
		require.Contains(t, said, want)
	}
	require.NotContains(t, said, ": invalid")
}

func TestSavedConfigurationReadsBack(t *testing.T) {
	t.Parallel()
	l, err := presetLayer("countdown-1m")
	require.NoError(t, err)
	want := defaultConfig()
	require.NoError(t, l.over(&want))
	want.settle()
	path := filepath.Join(t.TempDir(), "run", "config.yaml")
	require.NoError(t, want.save(path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	got, err := lay(t, string(text))
	require.NoError(t, err)
	require.Equal(t, want, got)
}
