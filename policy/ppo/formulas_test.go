package ppo

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

var update = flag.Bool("update", false, "write testdata/formulas.json anew")

// formula is one form of the loss on one batch: what goes in, and the loss and the derivatives that came out. bench/formulas.py computes
// both again from the published formulas, with PyTorch's derivatives.
type formula struct {
	Name       string    `json:"name"`
	Config     Config    `json:"config"`
	Totals     Totals    `json:"totals"`
	Kind       []int     `json:"kind"`
	Sequence   []int     `json:"sequence"`
	Importance []float64 `json:"importance"`
	Logp       []float64 `json:"logp"`
	Entropy    []float64 `json:"entropy"`
	Value      []float64 `json:"value"`
	LogpOld    []float64 `json:"logp_old"`
	LogpRef    []float64 `json:"logp_ref"`
	Advantages []float64 `json:"advantages"`
	Returns    []float64 `json:"returns"`
	ValuesOld  []float64 `json:"values_old"`
	Loss       float64   `json:"loss"`
	DLogp      []float64 `json:"d_logp"`
	DEntropy   []float64 `json:"d_entropy"`
	DValue     []float64 `json:"d_value"`
}

// The file that the other implementation is compared with is what this code computes.
func TestFormulasAreTheDumpedOnes(t *testing.T) {
	t.Parallel()
	const n = 24
	var got []formula
	for _, name := range slices.Sorted(maps.Keys(choices())) {
		c := choices()[name]
		b := randomBatch(n, hone.Rand(21))
		b.dress(c, hone.Rand(22))
		for i, kind := range b.rows.Kind {
			for _, column := range b.columns() {
				if kind == KindNone { // JSON has no NaN, and the row takes no part
					column[i] = 0
				}
			}
		}
		d := makeSlopes(n)
		f := formula{
			Name: name, Config: c, Totals: b.totals, Sequence: b.rows.Sequence, Importance: b.rows.Importance,
			Logp: b.out.logp, Entropy: b.out.entropy, Value: b.out.value, LogpOld: b.rows.LogpOld, LogpRef: b.rows.LogpRef,
			Advantages: b.rows.Advantages, Returns: b.rows.Returns, ValuesOld: b.rows.ValuesOld,
			DLogp: d.logp, DEntropy: d.entropy, DValue: d.value,
		}
		for _, kind := range b.rows.Kind {
			f.Kind = append(f.Kind, int(kind))
		}
		f.Loss = newObjective(c, c.KLCoef).evaluate(b.rows, b.totals, b.out, d, newTally())
		got = append(got, f)
	}
	const path = "testdata/formulas.json"
	if *update {
		raw, err := json.Marshal(got)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(raw, '\n'), 0o600))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var want []formula
	require.NoError(t, json.Unmarshal(raw, &want))
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Equal(t, w.Name, got[i].Name)
		require.InDelta(t, w.Loss, got[i].Loss, 1e-12, w.Name)
		require.InDeltaSlice(t, w.DLogp, got[i].DLogp, 1e-12, w.Name)
		require.InDeltaSlice(t, w.DEntropy, got[i].DEntropy, 1e-12, w.Name)
		require.InDeltaSlice(t, w.DValue, got[i].DValue, 1e-12, w.Name)
	}
}
