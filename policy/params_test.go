package policy_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
)

func TestPresetSizes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]float64{policy.Preset1M: 1e6, policy.Preset10M: 1e7} {
		c, err := policy.Preset(name, 280)
		require.NoError(t, err)
		require.NoError(t, c.Validate())
		require.InEpsilon(t, want, c.NumParams(), 0.1, name)
		require.Equal(t, 280, c.Vocab)
	}
	_, err := policy.Preset("7b", 280)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	err := policy.Config{
		Vocab: 0, Width: 30, Layers: -1, Heads: 4, KVHeads: 3, Hidden: 1, Context: 1 << 21, RopeTheta: 1, NormEps: float32(math.NaN()),
		Window: -1,
	}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, part := range []string{
		"vocab is 0", "layers is -1", "width 30 over 4 heads is 7.5", "kv_heads 3 must divide heads 4", "context is 2097152", "rope_theta is 1",
		"norm_eps is NaN", "window is -1",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = policy.NewParams(policy.Config{})
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = policy.Init(policy.Config{}, 1)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestParamsLieInOneSlice(t *testing.T) {
	t.Parallel()
	for name, c := range configs() {
		p, err := policy.NewParams(c)
		require.NoError(t, err)
		require.Len(t, p.Flat(), c.NumParams())
		seen := map[string]bool{}
		at := 0
		for _, tensor := range p.Tensors() {
			require.False(t, seen[tensor.Name], tensor.Name)
			seen[tensor.Name] = true
			size := 1
			for _, d := range tensor.Shape {
				size *= d
			}
			require.Len(t, tensor.Data, size)
			require.Same(t, &p.Flat()[at], &tensor.Data[0])
			require.Same(t, &tensor.Data[0], &p.Tensor(tensor.Name)[0])
			at += size
		}
		require.Equal(t, len(p.Flat()), at)
		require.Nil(t, p.Tensor("model.layers.7.mlp.up_proj.weight"))
		require.Equal(t, c.Untied, seen["lm_head.weight"], name)
	}
}

func TestInitDrawsWhatItSays(t *testing.T) {
	t.Parallel()
	c := policy.DefaultConfig()
	p, err := policy.Init(c, 5)
	require.NoError(t, err)
	again, err := policy.Init(c, 5)
	require.NoError(t, err)
	other, err := policy.Init(c, 6)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	require.NotEqual(t, p.Digest(), other.Digest())
	deviation := func(name string) float64 {
		square := 0.0
		for _, v := range p.Tensor(name) {
			square += float64(v) * float64(v)
		}
		return math.Sqrt(square / float64(len(p.Tensor(name))))
	}
	require.InEpsilon(t, 0.02, deviation("model.embed_tokens.weight"), 0.02)
	require.InEpsilon(t, 0.02, deviation("model.layers.3.mlp.up_proj.weight"), 0.02)
	require.InEpsilon(t, 0.02/math.Sqrt(10), deviation("model.layers.3.mlp.down_proj.weight"), 0.02)
	require.InEpsilon(t, 0.02/math.Sqrt(10), deviation("model.layers.0.self_attn.o_proj.weight"), 0.02)
	require.InDelta(t, 1, deviation("model.layers.4.input_layernorm.weight"), 0)
	require.Zero(t, deviation("value_head.weight"))
	require.Zero(t, deviation("value_head.bias"))
}

func TestDigestSeesEveryBitAndCloneShareNone(t *testing.T) {
	t.Parallel()
	p := lively(t, tiny())
	q := p.Clone()
	require.Equal(t, p.Digest(), q.Digest())
	q.Flat()[len(q.Flat())-1] = math.Nextafter32(q.Flat()[len(q.Flat())-1], 9)
	require.NotEqual(t, p.Digest(), q.Digest())
	zero, err := policy.NewParams(tiny())
	require.NoError(t, err)
	minus := zero.Clone()
	minus.Flat()[3] = float32(math.Copysign(0, -1))
	require.NotEqual(t, zero.Digest(), minus.Digest())
}

func TestAppendScoresWhatIsAfterThePrompt(t *testing.T) {
	t.Parallel()
	var b policy.Batch
	b.Append([]hone.TokenID{5, 6, 7, 8}, 2)
	b.Append([]hone.TokenID{9, 4}, 0)
	b.Append([]hone.TokenID{3}, 1)
	require.Equal(t, policy.Batch{
		Tokens:    []int32{5, 6, 7, 8, 9, 4, 3},
		Positions: []int32{0, 1, 2, 3, 0, 1, 0},
		Targets:   []int32{-1, 7, 8, -1, 4, -1, -1},
		Starts:    []int32{0, 4, 6, 7},
	}, b)
	require.Equal(t, 7, b.Len())
	b.Reset()
	require.Zero(t, b.Len())
	b.Append([]hone.TokenID{1, 2}, 1)
	require.Equal(t, []int32{0, 2}, b.Starts)
}
