// Package policytest is what tests of objectives share: central differences of whole losses, and golden values from files.
package policytest

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// randomDirections is the number of directions beside the gradient's own in which Slopes looks.
const randomDirections = 4

// step is that of central differences over a float32 forward pass, in the weights' Euclidean norm.
const step = 1e-2

// Slopes holds a gradient against central differences of the loss, along the gradient itself and along random directions. Params are
// the weights that loss reads, all of them in one slice; they are left as they were. A difference may be as large
// as absolute, or as that share of the slope that relative says.
func Slopes(t testing.TB, params, gradient []float32, loss func() float64, absolute, relative float64) {
	t.Helper()
	origin, grad := slices.Clone(params), slices.Clone(gradient)
	rng := hone.Rand(4)
	direction := make([]float64, len(params))
	for trial := range 1 + randomDirections {
		norm := 0.0
		for i := range direction {
			direction[i] = rng.NormFloat64()
			if trial == 0 {
				direction[i] = float64(grad[i])
			}
			norm += direction[i] * direction[i]
		}
		require.Positive(t, norm, "the gradient is 0 everywhere")
		want := 0.0
		for i := range direction {
			direction[i] /= math.Sqrt(norm)
			want += direction[i] * float64(grad[i])
		}
		at := func(step float64) float64 {
			for i := range params {
				params[i] = origin[i] + float32(step*direction[i])
			}
			return loss()
		}
		require.InDelta(t, want, (at(step)-at(-step))/(2*step), max(absolute, relative*math.Abs(want)), "direction %d", trial)
	}
	copy(params, origin)
}

// Golden is one file of golden values; the README beside it says what its fields mean.
type Golden[C, I, W any] struct {
	Source    string  `json:"source"`
	Config    C       `json:"config"`
	Input     I       `json:"input"`
	Want      W       `json:"want"`
	Tolerance float64 `json:"tolerance"`
}

// ReadGolden decodes a file strictly.
func ReadGolden[C, I, W any](t testing.TB, path string) Golden[C, I, W] {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var g Golden[C, I, W]
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&g), path)
	require.NotEmpty(t, g.Source)
	require.Positive(t, g.Tolerance)
	return g
}
