package policy_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
)

// scoreTolerance bounds the float32 error of a whole small policy against float64, on products as good as float32's; see slack.
const scoreTolerance = 2e-5

// gradientTolerance bounds a float32 gradient against a central difference of the float64 twin with a step of 1e-4, relative to the
// largest gradient of the tensor; see slack.
const gradientTolerance = 1e-4

// slack is how much larger errors may be on the kernels under test than on those that multiply in float32, by what they say of themselves.
func slack(t testing.TB) float64 {
	t.Helper()
	return kernels(t).Tolerance() / kernel.Portable().Tolerance()
}

func tiny() policy.Config {
	return policy.Config{
		Vocab: 13, Width: 16, Layers: 2, Heads: 4, KVHeads: 2, Hidden: 24, Context: 16, RopeTheta: 100, NormEps: 1e-5,
	}
}

// lively are weights large enough that every part of the policy matters, the value head included.
func lively(t testing.TB, c policy.Config) *policy.Params {
	t.Helper()
	p, err := policy.Init(c, 3)
	require.NoError(t, err)
	r := hone.Rand(5)
	for _, tensor := range p.Tensors() {
		for i := range tensor.Data {
			switch {
			case strings.HasSuffix(tensor.Name, "correction_bias"): // too small to silence an expert
				tensor.Data[i] = float32(0.05 * r.NormFloat64())
			case len(tensor.Shape) == 1:
				tensor.Data[i] += float32(0.3 * r.NormFloat64())
			default:
				tensor.Data[i] = float32(0.3 * r.NormFloat64())
			}
		}
	}
	return p
}

// batch has sequences of the given lengths; the first two tokens of each are a prompt.
func batch(c policy.Config, lengths ...int) policy.Batch {
	r := hone.Rand(11)
	var b policy.Batch
	for _, n := range lengths {
		tokens := make([]hone.TokenID, n)
		for i := range tokens {
			tokens[i] = hone.TokenID(r.IntN(c.Vocab))
		}
		b.Append(tokens, 2)
	}
	return b
}

func kernels(t testing.TB) *kernel.Set {
	t.Helper()
	s, err := kernel.Open()
	require.NoError(t, err)
	return s
}

func trainer(t testing.TB, p *policy.Params, o policy.TrainerOptions) *policy.Trainer {
	t.Helper()
	tr, err := policy.NewTrainer(p, kernels(t), o)
	require.NoError(t, err)
	return tr
}

func configs() map[string]policy.Config {
	tied, untied := tiny(), tiny()
	untied.Untied = true
	window := tiny()
	window.Window = 3
	experts, shared := tiny(), tiny()
	experts.MoE = policy.MoE{Experts: 4, BalanceCoef: 0.3}
	shared.MoE = policy.MoE{Experts: 5, TopK: 3, Shared: 2, BalanceCoef: 0.2, BiasRate: 0.01}
	return map[string]policy.Config{"tied": tied, "untied": untied, "window": window, "experts": experts, "shared experts": shared}
}

func TestEvaluateAgreesWithTheTwin(t *testing.T) {
	t.Parallel()
	const temperature = 0.8
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b := lively(t, c), batch(c, 5, 1, 16, 9)
			got, err := trainer(t, p, policy.TrainerOptions{Temperature: temperature}).Evaluate(t.Context(), b)
			require.NoError(t, err)
			logp, entropy, value := newTwin(p).score(b, float64(float32(temperature)))
			for i := range logp {
				require.InDelta(t, logp[i], got.Logp[i], scoreTolerance*slack(t))
				require.InDelta(t, entropy[i], got.Entropy[i], scoreTolerance*slack(t))
				require.InDelta(t, value[i], got.Value[i], scoreTolerance*slack(t))
			}
		})
	}
}

func TestFreshPolicyValuesNothing(t *testing.T) {
	t.Parallel()
	c := tiny()
	p, err := policy.Init(c, 1)
	require.NoError(t, err)
	b := batch(c, 9, 7)
	got, err := trainer(t, p, policy.TrainerOptions{}).Evaluate(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, make([]float32, 16), got.Value)
	for i, target := range b.Targets {
		if target != policy.NoTarget {
			require.InDelta(t, -math.Log(float64(c.Vocab)), got.Logp[i], 0.5, "close to uniform")
		}
	}
}

// mixture is a loss that uses all three outputs: sum over rows of a*logp + b*entropy + c*value^2/2.
type mixture struct{ a, b, c []float32 }

func (m *mixture) Build(capacity int, out policy.Outputs) (*gorgonia.Node, error) {
	return gorgonia.ApplyOp(newMixtureOp(m, capacity), out.Logp, out.Entropy, out.Value)
}

func newMixture(n int) *mixture {
	r := hone.Rand(17)
	m := &mixture{}
	for range n {
		m.a = append(m.a, float32(r.NormFloat64()))
		m.b = append(m.b, float32(r.NormFloat64()))
		m.c = append(m.c, float32(r.NormFloat64()))
	}
	return m
}

func (m *mixture) of(logp, entropy, value []float64) float64 {
	sum := 0.0
	for i := range logp {
		sum += float64(m.a[i])*logp[i] + float64(m.b[i])*entropy[i] + float64(m.c[i])*value[i]*value[i]/2
	}
	return sum
}

func TestGradientOfTheWholeLossIsTheTwinsSlope(t *testing.T) {
	t.Parallel()
	const step, temperature = 1e-4, 0.7
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b := lively(t, c), batch(c, 6, 1, 11)
			loss := newMixture(b.Len())
			tr := trainer(t, p, policy.TrainerOptions{Temperature: temperature, Loss: loss})
			got, err := tr.Gradient(t.Context(), b)
			require.NoError(t, err)
			slow := newTwin(p)
			require.InDelta(t, loss.of(slow.score(b, float64(float32(temperature)))), got, 1e-3)
			objective := func() float64 {
				value := loss.of(slow.score(b, float64(float32(temperature))))
				if slow.routes != nil {
					value += float64(c.MoE.BalanceCoef) * slow.routes.balance(c.MoE.Choices())
				}
				return value
			}
			for i, tensor := range p.Tensors() {
				w, grad := slow.weights[tensor.Name], tr.Grads().Tensors()[i].Data
				largest := 0.0
				for _, g := range grad {
					largest = max(largest, math.Abs(float64(g)))
				}
				require.Equal(t, !strings.HasSuffix(tensor.Name, "correction_bias"), largest > 0, tensor.Name)
				for j := 0; j < len(w); j += 1 + len(w)/7 {
					at := w[j]
					w[j] = at + step
					up := objective()
					w[j] = at - step
					down := objective()
					w[j] = at
					require.InDelta(t, (up-down)/(2*step), grad[j], gradientTolerance*slack(t)*max(1, largest), "%s[%d]", tensor.Name, j)
				}
			}
		})
	}
}

func TestGradientsAddUpAndDoNotDependOnCapacity(t *testing.T) {
	t.Parallel()
	c := tiny()
	p, small := lively(t, c), batch(c, 6, 11)
	loss := newMixture(2000)
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	first, err := tr.Gradient(t.Context(), small)
	require.NoError(t, err)
	once := tr.Grads().Clone()

	again, err := tr.Gradient(t.Context(), small)
	require.NoError(t, err)
	require.Equal(t, first, again)
	for i, g := range tr.Grads().Flat() {
		twice := float64(2 * once.Flat()[i])
		require.InDelta(t, twice, g, 1e-5*max(1, math.Abs(twice)), "the second run adds the same again")
	}

	var lengths []int
	for range 60 {
		lengths = append(lengths, 13)
	}
	_, err = tr.Gradient(t.Context(), batch(c, lengths...))
	require.NoError(t, err, "a larger graph beside the first")
	tr.ZeroGrads()
	_, err = tr.Gradient(t.Context(), small)
	require.NoError(t, err)
	require.Equal(t, once.Digest(), tr.Grads().Digest(), "nothing is left of other runs")
}

func TestOneBatchOfManyIsManyBatchesOfOne(t *testing.T) {
	t.Parallel()
	c := tiny()
	p := lively(t, c)
	loss := policy.NewCrossEntropy()
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	whole := batch(c, 6, 11, 3)
	weights := make([]float32, whole.Len())
	for i := range weights {
		weights[i] = 1.0 / 16
	}
	loss.Set(weights)
	together, err := tr.Gradient(t.Context(), whole)
	require.NoError(t, err)
	want := tr.Grads().Clone()
	tr.ZeroGrads()
	apart := 0.0
	for s := range 3 {
		from, to := whole.Starts[s], whole.Starts[s+1]
		loss.Set(weights[from:to])
		part, err := tr.Gradient(t.Context(), policy.Batch{
			Tokens: whole.Tokens[from:to], Positions: whole.Positions[from:to], Targets: whole.Targets[from:to], Starts: []int32{0, to - from},
		})
		require.NoError(t, err)
		apart += part
	}
	require.InDelta(t, together, apart, 1e-6)
	for i, w := range want.Flat() {
		require.InDelta(t, w, tr.Grads().Flat()[i], 1e-5)
	}
}

func TestMaskedRowsCountNothing(t *testing.T) {
	t.Parallel()
	c := tiny()
	p, b := lively(t, c), batch(c, 6, 11)
	loss := newMixture(b.Len())
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	for i, target := range b.Targets {
		if target == policy.NoTarget {
			loss.a[i], loss.b[i] = 0, 0
		}
	}
	want, err := tr.Gradient(t.Context(), b)
	require.NoError(t, err)
	grads := tr.Grads().Clone()
	nan := float32(math.NaN())
	for i, target := range b.Targets {
		if target == policy.NoTarget {
			loss.a[i], loss.b[i] = nan, nan
		}
	}
	loss.a, loss.b, loss.c = append(loss.a, nan), append(loss.b, nan), append(loss.c, nan)
	tr.ZeroGrads()
	got, err := tr.Gradient(t.Context(), b)
	require.ErrorIs(t, err, hone.ErrNonFinite, "the loss of this test sums NaN, and that is seen")
	require.True(t, math.IsNaN(got))
	require.False(t, math.IsNaN(want))
	require.Equal(t, grads.Digest(), tr.Grads().Digest(), "but no slope of a row without a target reaches the weights")
}

// train takes steps on one batch and gives the losses and the digest of the weights at the end.
func train(t *testing.T, steps int) (losses []float64, digest string) {
	t.Helper()
	c := tiny()
	p, err := policy.Init(c, 9)
	require.NoError(t, err)
	loss := policy.NewCrossEntropy()
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	set := kernels(t)
	optimizer, err := policy.NewAdamW(p, policy.DefaultAdamWConfig())
	require.NoError(t, err)
	b := batch(c, 16, 9, 12, 16, 3, 16, 16, 16, 14, 11)
	weights := make([]float32, b.Len())
	for i := range weights {
		weights[i] = 1 / float32(b.Len())
	}
	for range steps {
		loss.Set(weights)
		tr.ZeroGrads()
		l, err := tr.Gradient(t.Context(), b)
		require.NoError(t, err)
		_, err = optimizer.Step(set, p, tr.Grads(), 1e-2)
		require.NoError(t, err)
		losses = append(losses, l)
	}
	return losses, p.Digest()
}

func TestTrainingLearnsAndIsTheSameToTheBit(t *testing.T) { //nolint:paralleltest // sets GOMAXPROCS
	losses, digest := train(t, 10)
	require.Less(t, losses[9], 0.9*losses[0])
	for i := 1; i < len(losses); i++ {
		require.Less(t, losses[i], losses[i-1])
	}
	for _, procs := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(procs)
		again, same := train(t, 10)
		runtime.GOMAXPROCS(old)
		require.Equal(t, losses, again)
		require.Equal(t, digest, same)
	}
}

func TestTrainerRefusesBadBatches(t *testing.T) { //nolint:tparallel // the cases share one trainer
	t.Parallel()
	c := tiny()
	p := lively(t, c)
	tr := trainer(t, p, policy.TrainerOptions{})
	for name, spoil := range map[string]func(b *policy.Batch){
		"empty":                  func(b *policy.Batch) { *b = policy.Batch{} },
		"token too large":        func(b *policy.Batch) { b.Tokens[3] = int32(c.Vocab) },
		"token negative":         func(b *policy.Batch) { b.Tokens[3] = -1 },
		"target too large":       func(b *policy.Batch) { b.Targets[3] = int32(c.Vocab) },
		"target below none":      func(b *policy.Batch) { b.Targets[3] = -2 },
		"position past context":  func(b *policy.Batch) { b.Positions[3] = int32(c.Context) },
		"missing positions":      func(b *policy.Batch) { b.Positions = b.Positions[1:] },
		"starts short of end":    func(b *policy.Batch) { b.Starts[len(b.Starts)-1]-- },
		"starts falling":         func(b *policy.Batch) { b.Starts = []int32{0, 8, 5, int32(b.Len())} },
		"starts not from 0":      func(b *policy.Batch) { b.Starts[0] = 1 },
		"more than a batch may ": func(b *policy.Batch) { *b = batch(c, make64k()...) },
	} {
		t.Run(name, func(t *testing.T) {
			b := batch(c, 6, 11)
			spoil(&b)
			_, err := tr.Evaluate(t.Context(), b)
			require.ErrorIs(t, err, hone.ErrInvalid)
		})
	}
	_, err := tr.Gradient(t.Context(), batch(c, 6))
	require.ErrorIs(t, err, hone.ErrInvalid, "no loss")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = tr.Evaluate(ctx, batch(c, 6))
	require.ErrorIs(t, err, context.Canceled)
	_, err = policy.NewTrainer(p, kernel.Portable(), policy.TrainerOptions{Temperature: -1})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func make64k() []int {
	lengths := make([]int, policy.MaxBatch/16+1)
	for i := range lengths {
		lengths[i] = 16
	}
	return lengths
}

func TestNonFiniteWeightsAreReported(t *testing.T) {
	t.Parallel()
	c := tiny()
	p := lively(t, c)
	p.Tensor("model.layers.1.mlp.up_proj.weight")[4] = float32(math.Inf(1))
	loss := policy.NewCrossEntropy()
	loss.Set([]float32{1, 1, 1, 1, 1})
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	_, err := tr.Evaluate(t.Context(), batch(c, 6))
	require.ErrorIs(t, err, hone.ErrNonFinite)
	_, err = tr.Gradient(t.Context(), batch(c, 6))
	require.ErrorIs(t, err, hone.ErrNonFinite)
}

type panickyLoss struct{}

func (panickyLoss) Build(int, policy.Outputs) (*gorgonia.Node, error) { panic("as Gorgonia does") }

type vectorLoss struct{}

func (vectorLoss) Build(_ int, out policy.Outputs) (*gorgonia.Node, error) { return out.Logp, nil }

func TestPanicsWhileBuildingAreErrors(t *testing.T) {
	t.Parallel()
	c := tiny()
	for _, loss := range []policy.Loss{panickyLoss{}, vectorLoss{}} {
		_, err := trainer(t, lively(t, c), policy.TrainerOptions{Loss: loss}).Gradient(t.Context(), batch(c, 6))
		require.Error(t, err)
	}
}

func BenchmarkTrainStep(b *testing.B) {
	for _, preset := range []string{policy.Preset1M, policy.Preset10M} {
		c, err := policy.Preset(preset, 300)
		require.NoError(b, err)
		for _, checkpoint := range []bool{false, true} {
			b.Run(fmt.Sprintf("preset=%s/checkpoint=%t", preset, checkpoint), func(b *testing.B) { benchmarkStep(b, c, checkpoint) })
		}
		// As many multiplications a token as the dense policy: two of eight experts of half the width.
		c.Hidden /= 2
		c.MoE = policy.MoE{Experts: 8, BalanceCoef: 0.01}
		b.Run(fmt.Sprintf("preset=%s/experts=8", preset), func(b *testing.B) { benchmarkStep(b, c, false) })
	}
}

func benchmarkStep(b *testing.B, c policy.Config, checkpoint bool) {
	b.Helper()
	p, err := policy.Init(c, 1)
	require.NoError(b, err)
	set := kernels(b)
	loss := policy.NewCrossEntropy()
	tr := trainer(b, p, policy.TrainerOptions{Loss: loss, Checkpoint: checkpoint})
	optimizer, err := policy.NewAdamW(p, policy.DefaultAdamWConfig())
	require.NoError(b, err)
	// Sequences of the demonstration: a prompt of 11 tokens and about 50 more, some much longer.
	var lengths []int
	total := 0
	for i := 0; total < 4000; i++ {
		n := 50 + i*13%40
		if i%8 == 0 {
			n = 150
		}
		lengths = append(lengths, n)
		total += n
	}
	data := batch(c, lengths...)
	weights := make([]float32, data.Len())
	for i := range weights {
		weights[i] = 1 / float32(data.Len())
	}
	b.ReportAllocs()
	for b.Loop() {
		loss.Set(weights)
		tr.ZeroGrads()
		_, err := tr.Gradient(b.Context(), data)
		require.NoError(b, err)
		_, err = optimizer.Step(set, p, tr.Grads(), 1e-3)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(data.Len())*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(tr.Bytes())/(1<<20), "MiB")
}
