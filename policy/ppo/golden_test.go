package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/policytest"
)

func TestGoldenClip(t *testing.T) {
	t.Parallel()
	type config struct {
		Cases []struct {
			Name     string  `json:"name"`
			ClipLow  float64 `json:"clip_low"`
			ClipHigh float64 `json:"clip_high"`
			DualClip float64 `json:"dual_clip"`
		} `json:"cases"`
	}
	type input struct {
		Cases []struct {
			Advantages []float64 `json:"advantages"`
			Ratios     []float64 `json:"ratios"`
		} `json:"cases"`
	}
	type want struct {
		Cases []struct {
			Losses []float64 `json:"losses"`
			Mean   float64   `json:"mean"`
		} `json:"cases"`
	}
	g := policytest.ReadGolden[config, input, want](t, "testdata/g6_clip.json")
	for i, c := range g.Config.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			bounds := clipBounds{low: c.ClipLow, high: c.ClipHigh, dual: c.DualClip}
			sum := 0.0
			for j, a := range g.Input.Cases[i].Advantages {
				loss, _, _ := policyTerm(math.Log(g.Input.Cases[i].Ratios[j]), a, bounds)
				require.InDelta(t, g.Want.Cases[i].Losses[j], loss, g.Tolerance)
				sum += loss
			}
			require.InDelta(t, g.Want.Cases[i].Mean, sum/float64(len(g.Input.Cases[i].Ratios)), g.Tolerance)
		})
	}
}

func TestGoldenValueClip(t *testing.T) {
	t.Parallel()
	type config struct {
		ValueClip float64 `json:"value_clip"`
	}
	type input struct {
		Values    []float64 `json:"values"`
		ValuesOld []float64 `json:"values_old"`
		Returns   []float64 `json:"returns"`
	}
	type want struct {
		Losses []float64 `json:"losses"`
	}
	g := policytest.ReadGolden[config, input, want](t, "testdata/g7_value_clip.json")
	for i, v := range g.Input.Values {
		loss, _, _ := valueTerm(v, g.Input.ValuesOld[i], g.Input.Returns[i], g.Config.ValueClip)
		require.InDelta(t, g.Want.Losses[i], loss, g.Tolerance)
	}
}

func TestGoldenKL(t *testing.T) {
	t.Parallel()
	type input struct {
		Logp    []float64 `json:"logp"`
		LogpRef []float64 `json:"logp_ref"`
	}
	type want struct {
		K1 []float64 `json:"k1"`
		K2 []float64 `json:"k2"`
		K3 []float64 `json:"k3"`
	}
	g := policytest.ReadGolden[struct{}, input, want](t, "testdata/g7_kl.json")
	for i := range g.Input.Logp {
		p, q := g.Input.Logp[i], g.Input.LogpRef[i]
		require.InDelta(t, g.Want.K1[i], K1(p, q), g.Tolerance)
		require.InDelta(t, g.Want.K2[i], K2(p, q), g.Tolerance)
		require.InDelta(t, g.Want.K3[i], K3(p, q), g.Tolerance)
	}
}

func TestGoldenController(t *testing.T) {
	t.Parallel()
	type config struct {
		KLTarget  float64 `json:"kl_target"`
		KLHorizon float64 `json:"kl_horizon"`
	}
	type input struct {
		Beta float64   `json:"beta"`
		N    int       `json:"n"`
		KL   []float64 `json:"kl"`
	}
	type want struct {
		Beta []float64 `json:"beta"`
	}
	g := policytest.ReadGolden[config, input, want](t, "testdata/g7_controller.json")
	c := Controller{Target: g.Config.KLTarget, Horizon: g.Config.KLHorizon}
	for i, kl := range g.Input.KL {
		beta, err := c.Next(g.Input.Beta, kl, g.Input.N)
		require.NoError(t, err)
		require.InDelta(t, g.Want.Beta[i], beta, g.Tolerance)
	}
}
