package rollout_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task/game24"
)

func TestSamplesComeInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Group, c.Batch = 3, 4 })
	other, err := f.task.Problem("1 2 3 4")
	require.NoError(t, err)
	in := rollout.SampleInput{Origin: f.origin()}
	in.Slots = []rollout.Slot{{Problem: f.problem, Index: 4}, {Problem: other, Index: 9}, {Problem: f.problem, Index: 2}}
	var heard [][2]int
	in.Progress = func(done, total int) { heard = append(heard, [2]int{done, total}) }
	got, err := f.roller.Sample(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []int{3, 3, 3}, f.script.calls, "a batch of four holds one whole group of three")
	require.Equal(t, [][2]int{{3, 9}, {6, 9}, {9, 9}}, heard)
	var samples []int
	seeds := map[uint64]bool{}
	for i, trajectory := range got {
		samples = append(samples, trajectory.ID.Sample)
		seeds[trajectory.Seed] = true
		require.Equal(t, in.Slots[i/3].Problem, trajectory.Problem)
		require.Equal(t, hone.Seed(7, "sample", 3, trajectory.Problem.ID(), trajectory.ID.Sample), trajectory.Seed)
		require.Equal(t, hone.TrajectoryID{Run: "run", Iteration: 3, Sample: trajectory.ID.Sample}, trajectory.ID)
		require.Equal(t, hone.SourceSample, trajectory.Source)
		require.Equal(t, hone.FinishStop, trajectory.Finish)
		require.Equal(t, 3, trajectory.Behaviour)
		require.Equal(t, "script", trajectory.Fingerprint)
		require.Equal(t, f.script.tokenizer.Decode(trajectory.Tokens), trajectory.Text)
		require.Equal(t, trajectory.Problem.Prompt, f.script.tokenizer.Decode(trajectory.Prompt))
		require.Equal(t, len(trajectory.Tokens), trajectory.Steps[len(trajectory.Steps)-1].To)
	}
	require.Equal(t, []int{12, 13, 14, 27, 28, 29, 6, 7, 8}, samples)
	require.Len(t, seeds, 9)
}

func TestSamplingRefusesWhatItCannotName(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	cases := map[string][]rollout.Slot{
		"slot -1":           {{Problem: f.problem, Index: -1}},
		"slot 2 is given":   {{Problem: f.problem, Index: 2}, {Problem: f.problem, Index: 2}},
		"game24:x: prompt":  {{Problem: hone.Problem{Task: "game24", Key: "x", Prompt: "Why?"}}},
		"game24:y: empty p": {{Problem: hone.Problem{Task: "game24", Key: "y"}}},
	}
	for says, slots := range cases {
		_, err := f.roller.Sample(t.Context(), rollout.SampleInput{Origin: f.origin(), Slots: slots})
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, says)
	}
	_, err := f.roller.Regenerate(t.Context(), []hone.Trajectory{{Source: hone.SourceSearch}})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestConfigReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, rollout.DefaultConfig().Validate())
	var bad rollout.Config
	bad.Search.Tree.Simulations = -2
	bad.Search.Sampling.Temperature = -1
	_, err := rollout.New(nil, nil, nil, bad)
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{
		"max_tokens 0", "group 0", "batch 0", "sampling temperature 0", "simulations is -2", "candidates 0",
		"search sampling: temperature -1", "step_tokens 0", "value_min 0 and value_max 0",
	} {
		require.ErrorContains(t, err, part)
	}
}

// engine is a decoder over a tiny policy with random weights, which writes nonsense, and a roller over it.
func engine(t *testing.T, cfg rollout.Config) (*rollout.Roller, []rollout.Slot) {
	t.Helper()
	vocabulary := token.Arithmetic()
	params, err := policy.Init(policy.Config{
		Vocab: vocabulary.Vocab(), Width: 16, Layers: 2, Heads: 2, KVHeads: 1, Hidden: 24, Context: 96, RopeTheta: 10000, NormEps: 1e-5,
	}, 3)
	require.NoError(t, err)
	rng := hone.Rand(4)
	head := params.Tensor("value_head.weight") // starts at zero, which would make all values equal
	for i := range head {
		head[i] = rng.Float32() - 0.5
	}
	decoder, err := decode.New(params, vocabulary, kernel.Portable(), decode.Options{})
	require.NoError(t, err)
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	roller, err := rollout.New(decoder, vocabulary, game, cfg)
	require.NoError(t, err)
	var slots []rollout.Slot
	for i, key := range []string{"4 5 6 10", "1 2 3 4", "3 3 8 8", "2 7 8 9"} {
		p, err := game.Problem(key)
		require.NoError(t, err)
		slots = append(slots, rollout.Slot{Problem: p, Index: i})
	}
	return roller, slots
}

func tiny() rollout.Config {
	cfg := rollout.DefaultConfig()
	cfg.MaxTokens, cfg.Group, cfg.Batch = 40, 3, 6
	cfg.Search.Tree.Simulations, cfg.Search.StepTokens = 8, 16
	return cfg
}

func TestSameSeedGivesSameBytesOnAnyNumberOfProcessors(t *testing.T) { //nolint:paralleltest // sets GOMAXPROCS
	origin := rollout.Origin{Run: "run", Seed: 11}
	run := func(processors int, seed uint64) ([]hone.Trajectory, []rollout.Found) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		roller, slots := engine(t, tiny())
		origin.Seed = seed
		samples, err := roller.Sample(t.Context(), rollout.SampleInput{Origin: origin, Slots: slots})
		require.NoError(t, err)
		found, err := roller.Search(t.Context(), rollout.SearchInput{Origin: origin, Slots: slots})
		require.NoError(t, err)
		return samples, found
	}
	samples, found := run(1, 11)
	again, foundAgain := run(2, 11)
	require.Equal(t, samples, again)
	require.Equal(t, found, foundAgain)
	others, _ := run(2, 12)
	require.NotEqual(t, samples[0].Tokens, others[0].Tokens)
}

func TestRegenerateGivesTheSameTrajectories(t *testing.T) {
	t.Parallel()
	roller, slots := engine(t, tiny())
	want, err := roller.Sample(t.Context(), rollout.SampleInput{Origin: rollout.Origin{Run: "run", Iteration: 2, Seed: 5}, Slots: slots})
	require.NoError(t, err)
	got, err := roller.Regenerate(t.Context(), want)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, trajectory := range want {
		alone, err := roller.Regenerate(t.Context(), []hone.Trajectory{trajectory})
		require.NoError(t, err)
		require.Equal(t, trajectory, alone[0], "portable kernels give a row the same result in any company")
	}
}

// The search asks the decoder with stop strings, step by step; scoring the line in one pass must find the same values.
func TestSearchedLinesAreScoredAsTheTreeSawThem(t *testing.T) {
	t.Parallel()
	const tolerance = 1e-5 // the decoder's promise between its ways to the same state
	cfg := tiny()
	cfg.Search.ValueMin, cfg.Search.ValueMax = -1e6, 1e6
	roller, slots := engine(t, cfg)
	found, err := roller.Search(t.Context(), rollout.SearchInput{Origin: rollout.Origin{Run: "run", Seed: 5}, Slots: slots})
	require.NoError(t, err)
	for _, f := range found {
		require.NotZero(t, f.Tree[0].Raw)
		require.InDelta(t, f.Trajectory.Values[0], f.Tree[0].Raw, tolerance)
		require.Len(t, f.Trajectory.Logp, len(f.Trajectory.Tokens))
		require.Positive(t, f.Work.Generated)
	}
}
