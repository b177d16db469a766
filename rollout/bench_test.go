package rollout_test

import (
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

// million is a roller over the 1M preset with random weights on the machine's best kernels: it writes nonsense up to the limits, so
// what is measured is the rate, not a task.
func million(b *testing.B, cfg rollout.Config) (*rollout.Roller, []rollout.Slot) {
	b.Helper()
	set, err := kernel.Open()
	require.NoError(b, err)
	shape, err := policy.Preset(policy.Preset1M, token.Arithmetic().Vocab())
	require.NoError(b, err)
	params, err := policy.Init(shape, 1)
	require.NoError(b, err)
	decoder, err := decode.New(params, token.Arithmetic(), set, decode.Options{})
	require.NoError(b, err)
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(b, err)
	roller, err := rollout.New(decoder, token.Arithmetic(), game, cfg)
	require.NoError(b, err)
	problems, err := game.Problems(hone.SplitHeldOut)
	require.NoError(b, err)
	var slots []rollout.Slot
	for i, p := range problems[:32] {
		slots = append(slots, rollout.Slot{Problem: p, Index: i})
	}
	return roller, slots
}

func BenchmarkSample(b *testing.B) {
	cfg := rollout.DefaultConfig()
	cfg.MaxTokens = 64
	roller, slots := million(b, cfg)
	tokens, trajectories := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		out, err := roller.Sample(b.Context(), rollout.SampleInput{Slots: slots})
		require.NoError(b, err)
		for _, t := range out {
			tokens += len(t.Tokens)
		}
		trajectories += len(out)
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(trajectories)/b.Elapsed().Seconds(), "trajectories/s")
}

func BenchmarkSearch(b *testing.B) {
	cfg := rollout.DefaultConfig()
	cfg.MaxTokens, cfg.Search.StepTokens = 64, 16
	roller, slots := million(b, cfg)
	tokens, simulations := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		out, err := roller.Search(b.Context(), rollout.SearchInput{Slots: slots})
		require.NoError(b, err)
		for _, f := range out {
			tokens += f.Work.Generated
			simulations += f.Work.Simulations
		}
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(simulations)/b.Elapsed().Seconds(), "sims/s")
}
