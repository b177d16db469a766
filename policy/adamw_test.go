package policy_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func optimizer(t testing.TB, p *policy.Params, c policy.AdamWConfig) *policy.AdamW {
	t.Helper()
	a, err := policy.NewAdamW(p, c)
	require.NoError(t, err)
	return a
}

// gradients are normal numbers in the shape of p.
func gradients(t testing.TB, p *policy.Params, seed uint64) *policy.Params {
	t.Helper()
	g, err := policy.NewParams(p.Config())
	require.NoError(t, err)
	r := hone.Rand(seed)
	for i := range g.Flat() {
		g.Flat()[i] = float32(r.NormFloat64())
	}
	return g
}

func TestChecklist35StepIsAdamWWithOneGlobalClip(t *testing.T) {
	t.Parallel()
	const rate, tolerance = 1e-2, 1e-5
	c := policy.AdamWConfig{Beta1: 0.8, Beta2: 0.9, Eps: 1e-5, WeightDecay: 0.1, ClipNorm: 0.5}
	p := lively(t, tiny())
	a := optimizer(t, p, c)
	n := len(p.Flat())
	want, m, v := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, w := range p.Flat() {
		want[i] = float64(w)
	}
	for step := 1; step <= 3; step++ {
		g := gradients(t, p, uint64(step))
		square := 0.0
		for _, d := range g.Flat() {
			square += float64(d) * float64(d)
		}
		norm, err := a.Step(kernels(t), p, g, rate)
		require.NoError(t, err)
		require.InEpsilon(t, math.Sqrt(square), norm, 1e-6)
		i := 0
		for _, tensor := range p.Tensors() {
			for range tensor.Data {
				d := float64(g.Flat()[i]) * c.ClipNorm / norm
				m[i] = c.Beta1*m[i] + (1-c.Beta1)*d
				v[i] = c.Beta2*v[i] + (1-c.Beta2)*d*d
				if len(tensor.Shape) == 2 {
					want[i] -= rate * c.WeightDecay * want[i]
				}
				corrected := math.Sqrt(v[i] / (1 - math.Pow(c.Beta2, float64(step))))
				want[i] -= rate * m[i] / (1 - math.Pow(c.Beta1, float64(step))) / (corrected + c.Eps)
				i++
			}
		}
	}
	for i, w := range want {
		require.InDelta(t, w, p.Flat()[i], tolerance)
	}
	require.Equal(t, 3, a.State().Step)
}

func TestSmallGradientsAreNotClipped(t *testing.T) {
	t.Parallel()
	c := policy.DefaultAdamWConfig()
	p := lively(t, tiny())
	q := p.Clone()
	g := gradients(t, p, 1)
	for i := range g.Flat() {
		g.Flat()[i] *= 1e-4
	}
	_, err := optimizer(t, p, c).Step(kernels(t), p, g, 1e-3)
	require.NoError(t, err)
	c.ClipNorm = 0
	_, err = optimizer(t, q, c).Step(kernels(t), q, g, 1e-3)
	require.NoError(t, err)
	require.Equal(t, q.Digest(), p.Digest())
}

func TestNonFiniteGradientChangesNothing(t *testing.T) {
	t.Parallel()
	p := lively(t, tiny())
	a := optimizer(t, p, policy.DefaultAdamWConfig())
	_, err := a.Step(kernels(t), p, gradients(t, p, 1), 1e-3)
	require.NoError(t, err)
	before, m, v := p.Digest(), a.State().M.Digest(), a.State().V.Digest()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		g := gradients(t, p, 2)
		g.Tensor("model.layers.1.mlp.up_proj.weight")[7] = float32(bad)
		_, err := a.Step(kernels(t), p, g, 1e-3)
		require.ErrorIs(t, err, hone.ErrNonFinite)
		require.ErrorContains(t, err, "model.layers.1.mlp.up_proj.weight at 7")
	}
	huge := gradients(t, p, 2)
	huge.Flat()[0] = 1e30
	_, err = a.Step(kernels(t), p, huge, 1e-3)
	require.ErrorIs(t, err, hone.ErrNonFinite, "a norm that overflows")
	require.Equal(t, []string{before, m, v}, []string{p.Digest(), a.State().M.Digest(), a.State().V.Digest()})
	require.Equal(t, 1, a.State().Step)
}

func TestRestoreGoesOnExactly(t *testing.T) {
	t.Parallel()
	p := lively(t, tiny())
	a := optimizer(t, p, policy.DefaultAdamWConfig())
	_, err := a.Step(kernels(t), p, gradients(t, p, 1), 1e-3)
	require.NoError(t, err)
	q, b := p.Clone(), optimizer(t, p, policy.DefaultAdamWConfig())
	require.NoError(t, b.Restore(a.State()))
	for _, run := range []struct {
		a *policy.AdamW
		p *policy.Params
	}{{a, p}, {b, q}} {
		_, err = run.a.Step(kernels(t), run.p, gradients(t, p, 2), 1e-3)
		require.NoError(t, err)
	}
	require.Equal(t, p.Digest(), q.Digest())
	require.NotSame(t, a.State().M, b.State().M)

	other := tiny()
	other.Layers++
	require.ErrorIs(t, optimizer(t, lively(t, other), policy.DefaultAdamWConfig()).Restore(a.State()), hone.ErrInvalid)
	_, err = a.Step(kernels(t), lively(t, other), gradients(t, p, 2), 1e-3)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = a.Step(kernels(t), p, gradients(t, p, 2), math.NaN())
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestConfigsReportEveryFault(t *testing.T) {
	t.Parallel()
	require.NoError(t, policy.DefaultAdamWConfig().Validate())
	err := policy.AdamWConfig{Beta1: 1, Beta2: -1, Eps: 0, WeightDecay: math.Inf(1), ClipNorm: math.NaN()}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{"beta1 is 1", "beta2 is -1", "eps is 0", "weight_decay is +Inf", "clip_norm is NaN"} {
		require.ErrorContains(t, err, part)
	}
	err = policy.Schedule{Warmup: -1, Total: 0, Peak: -2, Floor: 3}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{"warmup is -1", "total is 0", "peak is -2", "floor is 3"} {
		require.ErrorContains(t, err, part)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	s := policy.Schedule{Warmup: 4, Total: 14, Peak: 8, Floor: 2}
	require.NoError(t, s.Validate())
	var got []float64
	for i := range 4 {
		got = append(got, s.At(i))
	}
	require.Equal(t, []float64{2, 4, 6, 8}, got)
	require.InDelta(t, 8, s.At(4), 1e-12)
	require.InDelta(t, 5, s.At(9), 1e-12, "half way down")
	require.InDelta(t, 2, s.At(14), 1e-12)
	require.InDelta(t, 2, s.At(1000), 0)
	rapid.Check(t, func(t *rapid.T) {
		s := policy.Schedule{
			Warmup: rapid.IntRange(0, 20).Draw(t, "warmup"), Peak: 1, Floor: rapid.Float64Range(0, 1).Draw(t, "floor"),
		}
		s.Total = s.Warmup + rapid.IntRange(1, 50).Draw(t, "fall")
		require.NoError(t, s.Validate())
		for i := 1; i < s.Total+5; i++ {
			if i < s.Warmup {
				require.Greater(t, s.At(i), s.At(i-1))
			} else {
				require.LessOrEqual(t, s.At(i), s.At(max(i-1, s.Warmup)))
			}
			require.GreaterOrEqual(t, s.At(i), min(s.Floor, s.At(0)))
			require.LessOrEqual(t, s.At(i), s.Peak)
		}
	})
}

func TestScheduleHasItsShape(t *testing.T) {
	t.Parallel()
	for shape, half := range map[policy.Shape]float64{"": 5, policy.ShapeCosine: 5, policy.ShapeLinear: 5, policy.ShapeConstant: 8} {
		s := policy.Schedule{Shape: shape, Warmup: 4, Total: 14, Peak: 8, Floor: 2}
		require.NoError(t, s.Validate())
		require.InDelta(t, 4, s.At(1), 1e-12)
		require.InDelta(t, half, s.At(9), 1e-12, shape)
	}
	quarter := policy.Schedule{Shape: policy.ShapeLinear, Total: 8, Peak: 8}
	require.InDelta(t, 6, quarter.At(2), 1e-12)
	require.InDelta(t, 8, policy.Schedule{Shape: policy.ShapeConstant, Total: 8, Peak: 8}.At(99), 0)
	require.ErrorIs(t, policy.Schedule{Shape: "steps", Total: 8, Peak: 8}.Validate(), hone.ErrInvalid)
}

// A curve starts at the setting's own value, and its last step and all after have the other.
func TestCurve(t *testing.T) {
	t.Parallel()
	linear := policy.Curve{Shape: policy.ShapeLinear, To: 3}
	cosine := policy.Curve{Shape: policy.ShapeCosine, To: 3}
	for step, want := range map[int]float64{-1: 1, 0: 1, 1: 1.5, 2: 2, 4: 3, 9: 3} {
		require.InDelta(t, want, linear.At(1, step, 5), 1e-12)
	}
	require.InDelta(t, 2, cosine.At(1, 2, 5), 1e-12)
	require.InDelta(t, 2-math.Sqrt2/2, cosine.At(1, 1, 5), 1e-12)
	require.InDelta(t, 3, cosine.At(1, 4, 5), 0)
	for _, still := range []policy.Curve{{}, {Shape: policy.ShapeConstant}} {
		require.NoError(t, still.Validate())
		require.InDelta(t, 1, still.At(1, 3, 5), 0)
		require.InDelta(t, 1, still.At(1, 9, 5), 0)
	}
	for _, bad := range []policy.Curve{
		{To: 1},
		{Shape: "steps"},
		{Shape: policy.ShapeLinear, To: -1},
		{Shape: policy.ShapeCosine, To: math.NaN()},
	} {
		require.ErrorIs(t, bad.Validate(), hone.ErrInvalid)
	}
}
