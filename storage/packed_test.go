package storage

import (
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/hone-rl/hone"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPackedGolden holds the layout: the file was written by hand from the drawing in packed.go.
func TestPackedGolden(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/packed.hex")
	require.NoError(t, err)
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	want, err := hex.DecodeString(digits.String())
	require.NoError(t, err)

	ids, logp, values := []hone.TokenID{1, 299}, []float32{-0.5, float32(math.Inf(-1))}, []float32{1, 0}
	require.Equal(t, want, packTokens(ids, logp, values))
	gotIDs, gotLogp, gotValues, err := unpackTokens(want)
	require.NoError(t, err)
	require.Equal(t, ids, gotIDs)
	require.Equal(t, logp, gotLogp)
	require.Equal(t, values, gotValues)
}

func TestPackedColumnsComeBackBitForBit(t *testing.T) {
	t.Parallel()
	bits := rapid.Custom(func(t *rapid.T) float32 { return math.Float32frombits(rapid.Uint32().Draw(t, "bits")) }) // NaN too
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		ids := rapid.SliceOfN(rapid.Map(rapid.Int32(), func(i int32) hone.TokenID { return hone.TokenID(i) }), n, n).Draw(t, "ids")
		a, b := rapid.SliceOfN(bits, n, n).Draw(t, "a"), rapid.SliceOfN(bits, n, n).Draw(t, "b")

		gotIDs, gotA, gotB, err := unpackTokens(packTokens(ids, a, b))
		require.NoError(t, err)
		require.Equal(t, packTokens(ids, a, b), packTokens(gotIDs, gotA, gotB))
		gotA, gotB, err = unpackFloats(packFloats(a, b))
		require.NoError(t, err)
		require.Equal(t, packFloats(a, b), packFloats(gotA, gotB))
		gotIDs, err = unpackIDs(packIDs(ids))
		require.NoError(t, err)
		require.Len(t, gotIDs, len(ids))
		require.Equal(t, packIDs(ids), packIDs(gotIDs))
	})
}

// FuzzUnpack: whatever the bytes, unpacking answers with the columns that pack to them or with ErrCorrupt.
func FuzzUnpack(f *testing.F) {
	good := packTokens([]hone.TokenID{1, 2}, []float32{3, 4}, []float32{5, 6})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Add([]byte{2, 0, 3, 0, 0, 0, 0, 0})             // version
	f.Add([]byte{1, 0, 2, 0, 0, 0, 0, 0})             // columns
	f.Add([]byte{0, 1, 0, 3, 0, 0, 0, 0})             // another byte order
	f.Add([]byte{1, 0, 3, 0, 0xff, 0xff, 0xff, 0xff}) // a length that overflows 32 bits
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, logp, values, err := unpackTokens(b)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrCorrupt)
			return
		}
		require.Equal(t, b, packTokens(ids, logp, values))
	})
}
