package policy_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/stretchr/testify/require"
)

// experts is a tiny policy of four experts.
func experts() policy.Config {
	c := tiny()
	c.MoE = policy.MoE{Experts: 4}
	return c
}

func TestMoEConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, experts().Validate(), "two choices are the default")
	require.Equal(t, 2, experts().MoE.Choices())
	for want, m := range map[string]policy.MoE{
		"experts is 1, must be 2 to":            {Experts: 1},
		"experts is 0":                          {TopK: 2},
		"top_k is 1, must be 2 to the 4":        {Experts: 4, TopK: 1},
		"top_k is 5":                            {Experts: 4, TopK: 5},
		"shared is 4096":                        {Experts: 4, Shared: 4096},
		"shared is -1":                          {Experts: 4, Shared: -1},
		"balance_coef is NaN, must be at least": {Experts: 4, BalanceCoef: float32(math.NaN())},
		"bias_rate is -0.1":                     {Experts: 4, BiasRate: -0.1},
	} {
		c := tiny()
		c.MoE, c.Hidden = m, 1000
		err := c.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, want)
		require.ErrorContains(t, err, "moe: "+want)
	}
}

func TestMoETensorsAreNamedAsMixtrals(t *testing.T) {
	t.Parallel()
	c := experts()
	c.MoE.Shared, c.MoE.BiasRate = 1, 0.001
	p, err := policy.Init(c, 1)
	require.NoError(t, err)
	require.Len(t, p.Flat(), c.NumParams())
	shapes := map[string][]int{}
	for _, tensor := range c.Tensors() {
		shapes[strings.TrimPrefix(tensor.Name, "model.layers.1.block_sparse_moe.")] = tensor.Shape
	}
	for name, shape := range map[string][]int{
		"gate.weight": {4, 16}, "gate.e_score_correction_bias": {4},
		"experts.3.w1.weight": {24, 16}, "experts.0.w3.weight": {24, 16}, "experts.2.w2.weight": {16, 24},
		"shared_experts.gate_proj.weight": {24, 16}, "shared_experts.up_proj.weight": {24, 16}, "shared_experts.down_proj.weight": {16, 24},
	} {
		require.Equal(t, shape, shapes[name], name)
	}
	require.NotContains(t, shapes, "model.layers.0.mlp.gate_proj.weight")
	require.Equal(t, make([]float32, 4), p.Tensor("model.layers.0.block_sparse_moe.gate.e_score_correction_bias"))
	deviation := func(name string) float64 {
		sum := 0.0
		for _, v := range p.Tensor("model.layers.0.block_sparse_moe." + name) {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum / (16 * 24))
	}
	require.InEpsilon(t, 0.02, deviation("experts.1.w1.weight"), 0.15)
	require.InEpsilon(t, 0.01, deviation("experts.1.w2.weight"), 0.15, "it writes to the residual stream of two layers")
}

// A mixture of copies of one feed-forward is that feed-forward, whatever the router says.
func TestMixtureOfCopiesIsDense(t *testing.T) {
	t.Parallel()
	dense, b := tiny(), batch(tiny(), 5, 1, 16, 9)
	from := lively(t, dense)
	want, err := trainer(t, from, policy.TrainerOptions{}).Evaluate(t.Context(), b)
	require.NoError(t, err)
	for _, choices := range []int{2, 4} {
		c := experts()
		c.MoE.TopK = choices
		p := lively(t, c)
		for _, tensor := range p.Tensors() {
			copy(tensor.Data, from.Tensor(denseName(tensor.Name)))
		}
		got, err := trainer(t, p, policy.TrainerOptions{}).Evaluate(t.Context(), b)
		require.NoError(t, err)
		for i := range want.Logp {
			require.InDelta(t, want.Logp[i], got.Logp[i], scoreTolerance*slack(t))
			require.InDelta(t, want.Value[i], got.Value[i], scoreTolerance*slack(t))
		}
	}
}

// denseName is where an expert's tensor is in a dense policy.
func denseName(name string) string {
	before, after, found := strings.Cut(name, "block_sparse_moe.experts.")
	if !found {
		return name
	}
	_, part, _ := strings.Cut(after, ".")
	return before + "mlp." + map[string]string{"w1.weight": "gate_proj", "w2.weight": "down_proj", "w3.weight": "up_proj"}[part] + ".weight"
}

// A sequence's scores have the same bits alone and among others in any order, where those of a dense policy do: that depends on the
// set's products. What is a mixture's own (routes, sorting, sums) is held to it on every set by policy/kernel.
func TestMoEScoresDoNotDependOnTheBatch(t *testing.T) {
	t.Parallel()
	dense := policy.DefaultConfig()
	if at := firstOtherBits(t, dense); at != "" {
		t.Skipf("products of %s depend on the batch: dense scores of %s", kernels(t).Fingerprint(), at)
	}
	c := dense
	c.MoE = policy.MoE{Experts: 8, Shared: 1, BiasRate: 0.001}
	require.Empty(t, firstOtherBits(t, c))
}

// firstOtherBits scores sequences together, in other orders and alone, and names the first whose scores differ in a bit.
func firstOtherBits(t *testing.T, c policy.Config) string {
	t.Helper()
	tr := trainer(t, lively(t, c), policy.TrainerOptions{})
	lengths := []int{40, 1, 7, 130, 64, 65, 3, 90, 12, 200}
	all := batch(c, lengths...)
	want, err := tr.Evaluate(t.Context(), all)
	require.NoError(t, err)
	for _, order := range [][]int{{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, {3, 9, 0}, {4}, {8}, {1}} {
		var b policy.Batch
		for _, s := range order {
			var tokens []hone.TokenID
			for _, id := range all.Tokens[all.Starts[s]:all.Starts[s+1]] {
				tokens = append(tokens, hone.TokenID(id))
			}
			b.Append(tokens, 2)
		}
		got, err := tr.Evaluate(t.Context(), b)
		require.NoError(t, err)
		at := 0
		for _, s := range order {
			from, n := int(all.Starts[s]), lengths[s]
			if !slices.Equal(want.Logp[from:from+n], got.Logp[at:at+n]) || !slices.Equal(want.Value[from:from+n], got.Value[at:at+n]) {
				return fmt.Sprintf("sequence %d in %v", s, order)
			}
			at += n
		}
	}
	return ""
}

func TestUsageIsTheTwins(t *testing.T) {
	t.Parallel()
	c := experts()
	c.MoE.BalanceCoef = 0.1
	p, b := lively(t, c), batch(c, 6, 1, 11)
	tr := trainer(t, p, policy.TrainerOptions{Loss: newMixture(b.Len())})
	require.Empty(t, tr.Usage().Metrics())
	for range 2 {
		_, err := tr.Gradient(t.Context(), b)
		require.NoError(t, err)
	}
	slow := newTwin(p)
	slow.score(b, 1)
	u := tr.Usage()
	require.Equal(t, 2*18, u.Tokens)
	require.InDelta(t, slow.routes.entropy/(18*2), u.Entropy(), 1e-5)
	require.InDelta(t, slow.routes.balance(2)/2, u.Balance(), 1e-5)
	most, metrics, total := 0.0, u.Metrics(), 0.0
	for l, loads := range slow.routes.loads {
		for e, load := range loads {
			require.InDelta(t, 2*load, u.Loads[l][e], 0)
			most = max(most, load)
		}
	}
	require.InDelta(t, most/(18*2/4.0), u.MaxLoad(), 1e-12)
	for e, share := range u.Shares() {
		require.InDelta(t, (slow.routes.loads[0][e]+slow.routes.loads[1][e])/36, share, 1e-12)
		total += share
	}
	require.InDelta(t, 2, total, 1e-12)
	require.InDelta(t, u.Shares()[3], metrics["expert_share_3"], 0)
	require.InDelta(t, u.MaxLoad(), metrics["expert_load_max"], 0)
	require.InDelta(t, u.Entropy(), metrics["router_entropy"], 0)
	require.InDelta(t, u.Balance(), metrics["router_balance"], 0)
	tr.ZeroGrads()
	require.Zero(t, tr.Usage())
}

func TestMergedUsageIsThatOfAllBatches(t *testing.T) {
	t.Parallel()
	c := experts()
	p, loss := lively(t, c), newMixture(40)
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	var merged policy.Usage
	for _, lengths := range [][]int{{6, 1}, {16, 3, 2}} {
		tr.ZeroGrads()
		_, err := tr.Gradient(t.Context(), batch(c, lengths...))
		require.NoError(t, err)
		merged.Merge(tr.Usage())
	}
	merged.Merge(policy.Usage{})
	tr.ZeroGrads()
	for _, lengths := range [][]int{{6, 1}, {16, 3, 2}} {
		_, err := tr.Gradient(t.Context(), batch(c, lengths...))
		require.NoError(t, err)
	}
	require.Equal(t, tr.Usage(), merged)
}

// Biases move against the loads by the rate, and in the end all experts have about the same; nothing else changes.
func TestBiasesBalanceTheLoads(t *testing.T) {
	t.Parallel()
	c := experts()
	c.MoE.BiasRate = 0.004
	p, b := lively(t, c), batch(c, 16, 16, 16, 16, 16, 16, 16, 16)
	name := "model.layers.1.block_sparse_moe.gate.e_score_correction_bias"
	tr := trainer(t, p, policy.TrainerOptions{Loss: newMixture(b.Len())})
	step := func() policy.Usage {
		tr.ZeroGrads()
		_, err := tr.Gradient(t.Context(), b)
		require.NoError(t, err)
		tr.MoveBiases()
		return tr.Usage()
	}
	before, rest := append([]float32(nil), p.Tensor(name)...), p.Clone()
	first := step()
	for e, load := range first.Loads[1] {
		want := before[e]
		switch {
		case load > 64:
			want -= 0.004
		case load < 64:
			want += 0.004
		}
		require.InDelta(t, want, p.Tensor(name)[e], 0, "expert %d with a load of %d of a mean of 64", e, load)
	}
	var last policy.Usage
	for range 150 {
		last = step()
	}
	require.Greater(t, first.MaxLoad(), 1.3)
	require.Less(t, last.MaxLoad(), 1.15)
	for _, tensor := range p.Tensors() {
		if !strings.HasSuffix(tensor.Name, "bias") {
			require.Equal(t, rest.Tensor(tensor.Name), tensor.Data, tensor.Name)
		}
	}
}

// The load-balance loss evens the loads out too, by way of the router's weights.
func TestBalanceLossBalancesTheLoads(t *testing.T) {
	t.Parallel()
	c := experts()
	c.MoE.BalanceCoef = 1
	p, b := lively(t, c), batch(c, 16, 16, 16, 16, 16, 16, 16, 16)
	loss := policy.NewCrossEntropy()
	loss.Set(make([]float32, b.Len()))
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	optimizer, err := policy.NewAdamW(p, policy.DefaultAdamWConfig())
	require.NoError(t, err)
	var usage []policy.Usage
	for range 40 {
		tr.ZeroGrads()
		_, err := tr.Gradient(t.Context(), b)
		require.NoError(t, err)
		_, err = optimizer.Step(kernels(t), p, tr.Grads(), 0.01)
		require.NoError(t, err)
		usage = append(usage, tr.Usage())
	}
	require.Less(t, usage[39].Balance(), usage[0].Balance())
	require.Less(t, usage[39].MaxLoad(), usage[0].MaxLoad()-0.2)
}

// A step cut into parts has the gradient of the whole, each part's load-balance loss counting by its share.
func TestSharesOfAStepMultiplyTheBalanceLoss(t *testing.T) {
	t.Parallel()
	c := experts()
	c.MoE.BalanceCoef = 1
	p, b := lively(t, c), batch(c, 16, 9)
	loss := policy.NewCrossEntropy()
	loss.Set(make([]float32, b.Len()))
	tr := trainer(t, p, policy.TrainerOptions{Loss: loss})
	grads := func(share float32) []float32 {
		tr.ZeroGrads()
		b.Share = share
		_, err := tr.Gradient(t.Context(), b)
		require.NoError(t, err)
		return append([]float32(nil), tr.Grads().Flat()...)
	}
	whole := grads(0)
	require.Equal(t, whole, grads(1))
	for i, g := range grads(0.25) {
		require.InDelta(t, 0.25*whole[i], g, 1e-7)
	}
	b.Share = 1.5
	_, err := tr.Gradient(t.Context(), b)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestMoETrainsAlikeOnAnyNumberOfProcessors(t *testing.T) { //nolint:paralleltest // it sets GOMAXPROCS
	run := func() string {
		c := experts()
		c.MoE.BalanceCoef, c.MoE.BiasRate = 0.01, 0.001
		p := lively(t, c)
		b := batch(c, 16, 9, 12, 16, 3, 16)
		tr := trainer(t, p, policy.TrainerOptions{Loss: newMixture(b.Len()), Checkpoint: true})
		optimizer, err := policy.NewAdamW(p, policy.DefaultAdamWConfig())
		require.NoError(t, err)
		for range 5 {
			tr.ZeroGrads()
			_, err := tr.Gradient(t.Context(), b)
			require.NoError(t, err)
			_, err = optimizer.Step(kernels(t), p, tr.Grads(), 1e-3)
			require.NoError(t, err)
			tr.MoveBiases()
		}
		return p.Digest()
	}
	want := run()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	require.Equal(t, want, run())
	runtime.GOMAXPROCS(3)
	require.Equal(t, want, run())
}
