package token_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/token"
)

const (
	prompt     = "Use 4 5 6 10 to make 24.\n"
	completion = "10 - 4 = 6 (left: 5 6 6)\n" +
		"5 * 6 = 30 (left: 6 30)\n" +
		"30 - 6 = 24 (left: 24)\n" +
		"Answer: (5 * (10 - 4)) - 6 = 24\n"
	detour = "4 - 6 = -2 (left: -2 5 10)\n" +
		"back (left: 4 5 6 10)\n" +
		"8 / 3 = 8/3 (left: 8/3 1000)\n"
)

func TestArithmeticEncodesAsPieces(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		want []string
	}{
		{"prompt", prompt, []string{"Use ", "4", " ", "5", " ", "6", " ", "10", " to make ", "24", ".\n"}},
		{"step", "10 - 4 = 6 (left: 5 6)\n", []string{"10", " - ", "4", " = ", "6", " (left: ", "5", " ", "6", ")\n"}},
		{"negative", "4 - -2", []string{"4", " - ", "-", "2"}},
		{"fraction", "8/3", []string{"8", "/", "3"}},
		{"back", "back (left: 7)\n", []string{"back", " (left: ", "7", ")\n"}},
		{"answer", "Answer: (1 + 2) = 3\n", []string{"Answer: ", "(", "1", " + ", "2", ")", " = ", "3", "\n"}},
		{"largest integer", "255", []string{"255"}},
		{"one more is two pieces", "256", []string{"25", "6"}},
		{"long number", "1000", []string{"100", "0"}},
		{"leading zero", "007", []string{"0", "0", "7"}},
		{"no spaces", "1+2*3=", []string{"1", "+", "2", "*", "3", "="}},
		{"taken space", " = (left: 1 = to make ", []string{" = ", "(left: ", "1", " = ", "to make "}},
		{"empty", "", nil},
	}
	tok := token.Arithmetic()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ids, err := tok.Encode(test.text)
			require.NoError(t, err)
			var pieces []string
			for _, id := range ids {
				pieces = append(pieces, tok.Piece(id))
			}
			require.Equal(t, test.want, pieces)
			require.Equal(t, test.text, tok.Decode(ids))
		})
	}
}

func TestArithmeticLengths(t *testing.T) {
	t.Parallel()
	tok := token.Arithmetic()
	ids, err := tok.Encode(prompt)
	require.NoError(t, err)
	require.Len(t, ids, 11)
	ids, err = tok.Encode(completion)
	require.NoError(t, err)
	require.Len(t, ids, 45)
	ids, err = tok.Encode(detour)
	require.NoError(t, err)
	require.Equal(t, detour, tok.Decode(ids))
}

// A change of any piece or of their order must come with a new name; the digest is of the pieces joined by NUL.
func TestArithmeticNameStandsForItsPieces(t *testing.T) {
	t.Parallel()
	tok := token.Arithmetic()
	var b strings.Builder
	for id := range tok.Vocab() {
		b.WriteString(tok.Piece(hone.TokenID(id)) + "\x00")
	}
	sum := sha256.Sum256([]byte(b.String()))
	require.Equal(t, "arithmetic-v1", tok.Name())
	require.Equal(t, arithmeticDigest, hex.EncodeToString(sum[:]))
}

func TestArithmeticIDs(t *testing.T) {
	t.Parallel()
	tok := token.Arithmetic()
	require.Equal(t, hone.TokenID(256), tok.EOS())
	require.Empty(t, tok.Piece(tok.EOS()))
	seen := map[string]bool{}
	for id := range tok.Vocab() {
		piece := tok.Piece(hone.TokenID(id))
		require.False(t, seen[piece], "piece %q twice", piece)
		seen[piece] = true
		if id < 256 {
			require.Equal(t, fmt.Sprint(id), piece)
		}
		if i := strings.IndexByte(piece, '\n'); i >= 0 {
			require.Equal(t, len(piece)-1, i, "piece %q: a line end must end its piece", piece)
		}
		if hone.TokenID(id) != tok.EOS() {
			ids, err := tok.Encode(piece)
			require.NoError(t, err)
			require.Equal(t, []hone.TokenID{hone.TokenID(id)}, ids)
		}
	}
	require.Equal(t, "\uFFFD\uFFFD", tok.Decode([]hone.TokenID{-1, hone.TokenID(tok.Vocab())}))
}

func TestArithmeticRefusesUnknownBytes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, byteText, offset string }{
		{"letter", "4 x 5", `byte "x" (0x78)`, "offset 2"},
		{"half a word", "Use4", `byte "U" (0x55)`, "offset 0"},
		{"power", "2^3", `byte "^" (0x5e)`, "offset 1"},
		{"not ASCII", "4 × 5", `byte "\xc3" (0xc3)`, "offset 2"},
		{"tab", "4\t5", `byte "\t" (0x09)`, "offset 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ids, err := token.Arithmetic().Encode(test.text)
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.Nil(t, ids)
			require.ErrorContains(t, err, test.byteText)
			require.ErrorContains(t, err, test.offset)
			require.ErrorContains(t, err, `the integers 0 to 255 and "Use " " to make "`)
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	tok, err := token.Open("arithmetic-v1")
	require.NoError(t, err)
	require.Equal(t, token.Arithmetic().Vocab(), tok.Vocab())
	_, err = token.Open("arithmetic-v0")
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, `"arithmetic-v0", have "arithmetic-v1"`)
}

// Any sequence of ids, as a policy may sample it, decodes to a text that encodes and comes back the same.
func TestArithmeticRoundTripProperty(t *testing.T) {
	t.Parallel()
	tok := token.Arithmetic()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(rapid.Map(rapid.IntRange(0, tok.Vocab()-1), func(id int) hone.TokenID {
			return hone.TokenID(id)
		})).Draw(t, "ids")
		text := tok.Decode(ids)
		again, err := tok.Encode(text)
		if err != nil {
			t.Fatalf("decoded text %q does not encode: %v", text, err)
		}
		if tok.Decode(again) != text {
			t.Fatalf("%q came back as %q", text, tok.Decode(again))
		}
	})
}

// Greedy matching could cut a word whose first byte an earlier piece takes; no run of three words does that.
func TestArithmeticEncodesAllRunsOfWords(t *testing.T) {
	t.Parallel()
	tok := token.Arithmetic()
	for a := 250; a < tok.Vocab(); a++ {
		for b := 250; b < tok.Vocab(); b++ {
			for c := 250; c < tok.Vocab(); c++ {
				text := tok.Decode([]hone.TokenID{hone.TokenID(a), hone.TokenID(b), hone.TokenID(c)})
				ids, err := tok.Encode(text)
				require.NoError(t, err)
				require.Equal(t, text, tok.Decode(ids))
			}
		}
	}
}

func FuzzArithmeticEncode(f *testing.F) {
	for _, seed := range []string{prompt, completion, detour, "4 x 5", "Use", "\xff", " to makeUse 2565"} {
		f.Add(seed)
	}
	tok := token.Arithmetic()
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := tok.Encode(text)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			return
		}
		require.Equal(t, text, tok.Decode(ids))
		for _, id := range ids {
			require.NotEqual(t, tok.EOS(), id)
			require.Less(t, int(id), tok.Vocab())
		}
	})
}

func BenchmarkArithmeticEncode(b *testing.B) {
	tok := token.Arithmetic()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tok.Encode(completion); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(45*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// arithmeticDigest pins arithmetic-v1.
const arithmeticDigest = "33a91bb4eee623785094f013696c2a903541bb17fe1c71f57619550eeccef98c"
