package advantage

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/policytest"
)

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
			g := policytest.ReadGolden[discount, episodeInput, episodeWant](t, filepath.Join("testdata", name))
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
	g := policytest.ReadGolden[discount, episodeInput, episodeWant](t, "testdata/g5_gae_done.json")
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

func TestGoldenGroups(t *testing.T) {
	t.Parallel()
	type input struct {
		Scores []float64 `json:"scores"`
	}
	for name, compare := range map[string]func(scores []float64) []float64{
		"g9_grpo.json":    func(scores []float64) []float64 { return Relative(scores, true) },
		"g9_dr_grpo.json": func(scores []float64) []float64 { return Relative(scores, false) },
		"g9_rloo.json": func(scores []float64) []float64 {
			group := make([]Member, len(scores))
			for i, score := range scores {
				group[i] = Member{Rewards: []float64{0, 0, score}, Ends: []int{2, 3}}
			}
			all, err := LeaveOneOut(group)
			require.NoError(t, err)
			out := make([]float64, len(all))
			for i, advantages := range all {
				require.Equal(t, []float64{advantages[0], advantages[0], advantages[0]}, advantages)
				out[i] = advantages[0]
			}
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := policytest.ReadGolden[struct{}, input, episodeWant](t, filepath.Join("testdata", name))
			require.InDeltaSlice(t, g.Want.Advantages, compare(g.Input.Scores), g.Tolerance)
		})
	}
}

// Zeroing what stands in a gap carries the wrong value into it and breaks the trace: the published wrong answer must not come out.
func TestGoldenGapIsNotZeroed(t *testing.T) {
	t.Parallel()
	g := policytest.ReadGolden[discount, episodeInput, episodeWant](t, "testdata/g2_gae_zeroed.json")
	e := Episode{Rewards: g.Input.Rewards, Values: g.Input.Values, Mask: g.Input.Mask}
	adv, _, err := e.Advantages(g.Config.Gamma, g.Config.Lambda)
	require.NoError(t, err)
	got := pick(adv, g.Want.Positions)
	for i, wrong := range g.Want.Advantages[:3] { // before the gap
		require.Greater(t, math.Abs(got[i]-wrong), 0.1)
	}
	require.InDeltaSlice(t, g.Want.Advantages[3:], got[3:], g.Tolerance)
}

func TestGoldenWhiten(t *testing.T) {
	t.Parallel()
	type input struct {
		Values []float64 `json:"values"`
	}
	g := policytest.ReadGolden[struct{}, input, episodeWant](t, "testdata/g10_whiten.json")
	Whiten(g.Input.Values, nil)
	require.InDeltaSlice(t, g.Want.Whitened, g.Input.Values, g.Tolerance)

	g = policytest.ReadGolden[struct{}, input, episodeWant](t, "testdata/g10_whiten_biased.json")
	WhitenBiased(g.Input.Values, nil)
	require.InDeltaSlice(t, g.Want.Whitened, g.Input.Values, g.Tolerance)
	WhitenBiased(g.Input.Values, []bool{false, false, false, false})
	one := []float64{7, 3}
	WhitenBiased(one, []bool{false, true})
	require.Equal(t, []float64{7, 0}, one)

	g = policytest.ReadGolden[struct{}, input, episodeWant](t, "testdata/g10_no_shift.json")
	RescaleAboutMean(g.Input.Values, nil)
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
