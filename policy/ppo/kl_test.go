package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
)

// divergence is KL(p, q) over the two outcomes of a coin.
func divergence(p, q float64) float64 {
	return p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q))
}

func TestChecklist13SignAndGradient(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(0.05, 0.95).Draw(t, "p")
		q := rapid.Float64Range(0.05, 0.95).Draw(t, "q")
		lp, lq, lp0, lq0 := math.Log(p), math.Log(q), math.Log1p(-p), math.Log1p(-q)
		want := divergence(p, q)
		require.GreaterOrEqual(t, want, -1e-12)
		require.InDelta(t, want, p*K1(lp, lq)+(1-p)*K1(lp0, lq0), 1e-9)
		require.InDelta(t, want, p*K3(lp, lq)+(1-p)*K3(lp0, lq0), 1e-9)
		require.GreaterOrEqual(t, K2(lp, lq), 0.0)
		require.GreaterOrEqual(t, K3(lp, lq), -1e-12)

		// The gradient of the divergence in the coin's logit x is p(1-p)(log-ratio of heads less that of tails). Sampled from p,
		// the loss of k2 has that gradient, and the loss of k3 has another: that of KL(q, p), which is p - q.
		dlp, dlp0 := 1-p, -p
		gradient := func(o objective) float64 {
			_, heads := o.klTerm(lp, lq)
			_, tails := o.klTerm(lp0, lq0)
			return p*heads*dlp + (1-p)*tails*dlp0
		}
		require.InDelta(t, p*(1-p)*(K1(lp, lq)-K1(lp0, lq0)), gradient(objective{penalty: KLInLossK2, beta: 1}), 1e-9)
		require.InDelta(t, p-q, gradient(objective{penalty: KLInLossK3, beta: 1}), 1e-9)
	})
}

func TestChecklist24ClampedRatioUnclampedKL(t *testing.T) {
	t.Parallel()
	loss, slope, _ := policyTerm(1000, -1, clipBounds{low: 0.2, high: 0.2})
	require.InDelta(t, math.Exp(20), loss, 1)
	require.Zero(t, slope)
	loss, slope, _ = policyTerm(-1000, -1, clipBounds{low: 1, high: 0.2})
	require.InDelta(t, math.Exp(-20), loss, 1e-12)
	require.Zero(t, slope)
	require.InDelta(t, -1000, K1(-1000, 0), 0)
	require.InDelta(t, 500000, K2(-1000, 0), 0)
	require.False(t, math.IsInf(K3(-1000, 0), 0))
}

func TestChecklist20ControllerPersistsBeta(t *testing.T) {
	t.Parallel()
	c := Controller{Target: 6, Horizon: 10000}
	beta := 0.2
	for range 3 {
		next, err := c.Next(beta, 100, 256)
		require.NoError(t, err)
		require.InDelta(t, beta*(1+0.2*256/10000), next, 1e-12)
		beta = next
	}
	kept, err := Controller{Horizon: 1}.Next(0.3, 50, 10)
	require.NoError(t, err)
	require.InDelta(t, 0.3, kept, 0)
	_, err = c.Next(0.2, math.NaN(), 1)
	require.ErrorIs(t, err, hone.ErrNonFinite)
	_, err = c.Next(math.Inf(1), 1, 1)
	require.ErrorIs(t, err, hone.ErrNonFinite)
}
