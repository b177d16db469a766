package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
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
	return untrained(b, policy.Preset1M, cfg)
}

// untrained is a roller over a preset of that name with random weights.
func untrained(b *testing.B, preset string, cfg rollout.Config) (*rollout.Roller, []rollout.Slot) {
	b.Helper()
	return over(b, untrainedDecoder(b, preset, decode.Float32), cfg)
}

func untrainedDecoder(b *testing.B, preset string, precision decode.Precision) rollout.Decoder {
	b.Helper()
	set, err := kernel.Open()
	require.NoError(b, err)
	shape, err := policy.Preset(preset, token.Arithmetic().Vocab())
	require.NoError(b, err)
	params, err := policy.Init(shape, 1)
	require.NoError(b, err)
	decoder, err := decode.New(params, token.Arithmetic(), set, decode.Options{Precision: precision})
	require.NoError(b, err)
	return decoder
}

// over is a roller over a decoder, with 32 problems for it.
func over(b *testing.B, decoder rollout.Decoder, cfg rollout.Config) (*rollout.Roller, []rollout.Slot) {
	b.Helper()
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

// lines ends what a decoder writes with a line's end, so that states without a meaning can be gone on from.
type lines struct{ rollout.Decoder }

func (l lines) Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	out, err := l.Decoder.Generate(ctx, requests)
	end, encodeErr := token.Arithmetic().Encode("\n")
	for i := range out {
		if n := len(out[i].Tokens); n > 0 {
			out[i].Tokens[n-1], out[i].Finish, out[i].Stopped = end[0], hone.FinishLength, true
		}
	}
	return out, errors.Join(err, encodeErr)
}

// cpu is the seconds of processor time that the process has used.
func cpu(b *testing.B) float64 {
	b.Helper()
	var use syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
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

// written counts the steps that a decoder wrote.
type written struct {
	rollout.Decoder
	steps *int
}

func (w written) Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	*w.steps += len(requests)
	return w.Decoder.Generate(ctx, requests)
}

// BenchmarkLeaves grows one tree over the 10M preset with so many walks under way at once. A state is given two candidates, or one at first
// and more as its visits grow (widening). They are drawn anew for each state, so that a simulation is an evaluation. A tree of two
// candidates a state has 64 leaves to offer after six waves; the more simulations with more leaves keep what comes before from being most
// of what is measured. Rates are by the clock and by the processor's time, which says the same on a machine that does other things.
func BenchmarkLeaves(b *testing.B) {
	for _, candidates := range []int{2, 1} {
		for _, precision := range []decode.Precision{decode.Float32, decode.BF16} {
			for _, leaves := range []int{1, 4, 16, 64} {
				b.Run(fmt.Sprintf("candidates=%d/precision=%s/leaves=%d", candidates, precision, leaves), func(b *testing.B) {
					cfg := rollout.DefaultConfig()
					cfg.MaxTokens, cfg.Search.StepTokens, cfg.Search.Candidates = 96, 8, candidates
					tree := &cfg.Search.Tree
					tree.Simulations, tree.Leaves, tree.Collisions, cfg.Search.LengthNormalised = max(192, 16*leaves), leaves, 16*leaves, true
					if candidates == 1 {
						tree.Widen.Factor = 2
					}
					simulations, steps := 0, 0
					roller, slots := over(b, lines{written{untrainedDecoder(b, policy.Preset10M, precision), &steps}}, cfg)
					before := cpu(b)
					for b.Loop() {
						out, err := roller.Search(b.Context(), rollout.SearchInput{Slots: slots[:1]})
						require.NoError(b, err)
						simulations += out[0].Work.Evaluations
					}
					used := cpu(b) - before
					b.ReportMetric(float64(simulations)/b.Elapsed().Seconds(), "sims/s")
					b.ReportMetric(float64(simulations)/used, "sims/cpu-s")
					b.ReportMetric(float64(steps)/used, "steps/cpu-s")
				})
			}
		}
	}
}
