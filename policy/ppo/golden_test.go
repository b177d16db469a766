package ppo

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is one file of testdata; its README says what the fields mean.
type golden[C, I, W any] struct {
	Source    string  `json:"source"`
	Config    C       `json:"config"`
	Input     I       `json:"input"`
	Want      W       `json:"want"`
	Tolerance float64 `json:"tolerance"`
}

// readGolden decodes testdata/name strictly.
func readGolden[C, I, W any](t *testing.T, name string) golden[C, I, W] {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	var g golden[C, I, W]
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&g), name)
	require.NotEmpty(t, g.Source)
	require.Positive(t, g.Tolerance)
	return g
}

type discount struct {
	Gamma  float64 `json:"gamma"`
	Lambda float64 `json:"lambda"`
}

type episodeInput struct {
	Rewards   []float64 `json:"rewards"`
	Values    []float64 `json:"values"`
	Mask      []bool    `json:"mask"`
	Done      []bool    `json:"done"`
	Bootstrap float64   `json:"bootstrap"`
}

type episodeWant struct {
	Positions  []int     `json:"positions"`
	Advantages []float64 `json:"advantages"`
	Returns    []float64 `json:"returns"`
	Whitened   []float64 `json:"whitened"`
}

func TestGoldenAdvantages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"g1_gae_gap.json", "g3_gae_padding.json", "g4_gae_myopic.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := readGolden[discount, episodeInput, episodeWant](t, name)
			e := Episode{Rewards: g.Input.Rewards, Values: g.Input.Values, Mask: g.Input.Mask, Bootstrap: g.Input.Bootstrap}
			adv, ret, err := e.Advantages(g.Config.Gamma, g.Config.Lambda)
			require.NoError(t, err)
			require.InDeltaSlice(t, g.Want.Advantages, pick(adv, g.Want.Positions), g.Tolerance)
			if g.Want.Returns != nil {
				require.InDeltaSlice(t, g.Want.Returns, pick(ret, g.Want.Positions), g.Tolerance)
			}
			if g.Want.Whitened != nil {
				Whiten(adv, g.Input.Mask)
				require.InDeltaSlice(t, g.Want.Whitened, pick(adv, g.Want.Positions), g.Tolerance)
			}
		})
	}
}

// The file marks where episodes begin inside one row; here an episode is a value of its own, so the row is cut there.
func TestGoldenAdvantagesOverEpisodes(t *testing.T) {
	t.Parallel()
	g := readGolden[discount, episodeInput, episodeWant](t, "g5_gae_done.json")
	var got []float64
	for from := 0; from < len(g.Input.Rewards); {
		to := from + 1
		for to < len(g.Input.Rewards) && !g.Input.Done[to] {
			to++
		}
		e := Episode{Rewards: g.Input.Rewards[from:to], Values: g.Input.Values[from:to]}
		if to == len(g.Input.Rewards) {
			e.Bootstrap = g.Input.Bootstrap
		}
		adv, _, err := e.Advantages(g.Config.Gamma, g.Config.Lambda)
		require.NoError(t, err)
		got = append(got, adv...)
		from = to
	}
	require.InDeltaSlice(t, g.Want.Advantages, got, g.Tolerance)
}

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
	g := readGolden[config, input, want](t, "g6_clip.json")
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
	g := readGolden[config, input, want](t, "g7_value_clip.json")
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
	g := readGolden[struct{}, input, want](t, "g7_kl.json")
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
	g := readGolden[config, input, want](t, "g7_controller.json")
	c := Controller{Target: g.Config.KLTarget, Horizon: g.Config.KLHorizon}
	for i, kl := range g.Input.KL {
		beta, err := c.Next(g.Input.Beta, kl, g.Input.N)
		require.NoError(t, err)
		require.InDelta(t, g.Want.Beta[i], beta, g.Tolerance)
	}
}

func TestGoldenGroup(t *testing.T) {
	t.Parallel()
	type input struct {
		Scores []float64 `json:"scores"`
	}
	g := readGolden[struct{}, input, episodeWant](t, "g9_rloo.json")
	group := make([]Member, len(g.Input.Scores))
	for i, score := range g.Input.Scores {
		group[i] = Member{Rewards: []float64{0, 0, score}, Ends: []int{2, 3}}
	}
	adv, err := GroupAdvantages(group)
	require.NoError(t, err)
	for i, want := range g.Want.Advantages {
		require.InDeltaSlice(t, []float64{want, want, want}, adv[i], g.Tolerance)
	}
}

func TestGoldenWhiten(t *testing.T) {
	t.Parallel()
	type input struct {
		Values []float64 `json:"values"`
	}
	g := readGolden[struct{}, input, episodeWant](t, "g10_whiten.json")
	Whiten(g.Input.Values, nil)
	require.InDeltaSlice(t, g.Want.Whitened, g.Input.Values, g.Tolerance)
}

// pick is the values at the positions.
func pick(values []float64, positions []int) []float64 {
	out := make([]float64, len(positions))
	for i, p := range positions {
		out[i] = values[p]
	}
	return out
}
