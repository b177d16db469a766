package arith_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
)

func fraction(t require.TestingT, num, den int64) arith.Number {
	n, err := arith.Fraction(num, den)
	require.NoError(t, err)
	return n
}

func rat(n arith.Number) *big.Rat { return big.NewRat(n.Num(), n.Den()) }

// TestNumberAgainstBig compares every operation with math/big over small, large and extreme integers: the results are equal, or
// the result does not fit and the error says so.
func TestNumberAgainstBig(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.Int64Range(-20, 20), rapid.Int64Range(-1<<33, 1<<33), rapid.Int64Range(-math.MaxInt64, math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		below := rapid.Custom(func(t *rapid.T) int64 { return max(1, part.Draw(t, "den")) })
		a := fraction(t, part.Draw(t, "a"), below.Draw(t, "a den"))
		b := fraction(t, part.Draw(t, "b"), below.Draw(t, "b den"))
		require.Equal(t, rat(a).Cmp(rat(b)), a.Compare(b))
		require.Equal(t, rat(a).Sign(), a.Sign())

		wants := map[arith.Op]func(x, y *big.Rat) *big.Rat{
			arith.Plus: new(big.Rat).Add, arith.Minus: new(big.Rat).Sub, arith.Times: new(big.Rat).Mul, arith.Over: new(big.Rat).Quo,
		}
		for op, apply := range wants {
			got, err := op.Apply(a, b)
			if op == arith.Over && b.Sign() == 0 {
				require.ErrorIs(t, err, arith.ErrZeroDivisor)
				continue
			}
			want := apply(rat(a), rat(b))
			if err != nil {
				require.ErrorIs(t, err, arith.ErrOverflow)
				// The product of the operands' parts bounds every intermediate result: within 2^62 nothing may overflow.
				bits := rat(a).Num().BitLen() + rat(a).Denom().BitLen() + rat(b).Num().BitLen() + rat(b).Denom().BitLen()
				require.Greater(t, bits, 62, "%v %v %v overflows needlessly", a, op, b)
				continue
			}
			require.Zero(t, want.Cmp(rat(got)), "%v %v %v = %v, want %v", a, op, b, got, want)
			require.Equal(t, want.Denom().Int64(), got.Den(), "lowest terms")
		}
	})
}

func TestNumberTextRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := fraction(t, rapid.Int64Range(-1e17, 1e17).Draw(t, "num"), rapid.Int64Range(1, 1e17).Draw(t, "den"))
		b, err := arith.ParseNumber(a.String())
		require.NoError(t, err)
		require.Equal(t, a, b)
	})
}

func TestParseNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]arith.Number{
		"0": {}, "6": arith.Int(6), "-2": arith.Int(-2), "8/3": fraction(t, 8, 3), "-1/2": fraction(t, -1, 2),
		"999999999999999999": arith.Int(999999999999999999),
	} {
		got, err := arith.ParseNumber(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for name, text := range map[string]string{
		"empty": "", "sign alone": "-", "plus": "+6", "two signs": "--6", "zero with a sign": "-0", "leading zero": "06",
		"not in lowest terms": "6/4", "denominator one": "6/1", "denominator zero": "6/0", "zero as a fraction": "0/5",
		"negative denominator": "6/-5", "no denominator": "6/", "space": " 6", "decimal": "6.0", "exponent": "1e3",
		"too long": "1000000000000000000", "other digits": "٣",
	} {
		_, err := arith.ParseNumber(text)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
}

func TestNumberEdges(t *testing.T) {
	t.Parallel()
	most := arith.Int(math.MaxInt64)
	_, err := most.Add(arith.Int(1))
	require.ErrorIs(t, err, arith.ErrOverflow)
	_, err = most.Neg().Sub(arith.Int(1))
	require.ErrorIs(t, err, arith.ErrOverflow, "the least int64 has no negation")
	_, err = arith.Fraction(1, 0)
	require.ErrorIs(t, err, arith.ErrZeroDivisor)
	_, err = arith.Fraction(math.MinInt64, 3)
	require.ErrorIs(t, err, arith.ErrOverflow)
	require.Equal(t, fraction(t, -3, 2), fraction(t, 6, -4))
	require.Equal(t, arith.Number{}, fraction(t, 0, -7))
	require.Equal(t, "0", arith.Number{}.String())
	require.Panics(t, func() { arith.Int(math.MinInt64) })
	require.Panics(t, func() { _, _ = arith.Op('^').Apply(most, most) })
}
