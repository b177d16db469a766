package arith_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
)

func ExampleParse() {
	e, err := arith.Parse("5*(10-4) - 6")
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := e.Value()
	fmt.Println(e, "=", value, err)
	_, err = arith.Parse("2 ** 99")
	fmt.Println(err)
	// Output:
	// (5 * (10 - 4)) - 6 = 24 <nil>
	// expression at byte 3, "* 99": want an unsigned integer without leading zeros, or "(": invalid
}

func TestParsePrintsCanonically(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"7": "7", " ( (7) ) ": "7", "1+2": "1 + 2", "1-2-3": "(1 - 2) - 3", "1-(2-3)": "1 - (2 - 3)", "8/2/2": "(8 / 2) / 2",
		"1+2*3": "1 + (2 * 3)", "(1+2)*3": "(1 + 2) * 3", "(5 * (10 - 4)) - 6": "(5 * (10 - 4)) - 6",
		"(1+2)*(3-4)/5": "((1 + 2) * (3 - 4)) / 5",
	} {
		e, err := arith.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, e.String(), text)
		again, err := arith.Parse(e.String())
		require.NoError(t, err)
		require.Equal(t, e, again, "printing then parsing gives the expression back")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "spaces": "   ", "power": "2 ** 99", "caret": "2 ^ 99", "floor division": "7 // 2", "unary minus": "-4 + 28",
		"inner unary minus": "28 + (-4)", "two minuses": "20 - -4", "unary plus": "+4 + 20", "numbers in a row": "4 5 + 6",
		"leading zero": "04 + 20", "decimal": "2.5 * 4", "exponent": "1e3", "hexadecimal": "0x18", "name": "abs(4)", "equals": "4 = 4",
		"no operand": "4 +", "operator alone": "*", "unclosed": "(4 + 5", "unopened": "4 + 5)", "empty parentheses": "()",
		"juxtaposed": "2(3)", "line end": "4\n+ 5", "tab": "4\t+ 5", "not ASCII": "4 × 6", "comma": "1,000", "factorial": "4!",
		"too long a number": "1000000000000000000 + 1", "deep": strings.Repeat("(", 33) + "1" + strings.Repeat(")", 33),
		"many": strings.Repeat("1+", 32) + "1", "long": strings.Repeat(" ", 512) + "1",
	} {
		_, err := arith.Parse(text)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
	_, err := arith.Parse(strings.Repeat("(", 32) + "1" + strings.Repeat(")", 32))
	require.NoError(t, err, "the deepest nesting that is allowed")
	_, err = arith.Parse(strings.Repeat("1+", 31) + "1")
	require.NoError(t, err, "the most numbers that are allowed")
}

func TestExprValue(t *testing.T) {
	t.Parallel()
	value := func(text string) (arith.Number, error) {
		e, err := arith.Parse(text)
		require.NoError(t, err)
		return e.Value()
	}
	n, err := value("8 / (3 - 8 / 3)")
	require.NoError(t, err)
	require.Equal(t, arith.Int(24), n, "exact where floats are not")
	_, err = value("4 / (6 - 2 * 3)")
	require.ErrorIs(t, err, arith.ErrZeroDivisor)
	_, err = value("999999999999 * 999999999999")
	require.ErrorIs(t, err, arith.ErrOverflow)
	_, err = arith.Expr{}.Value()
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.Empty(t, arith.Expr{}.String())
	require.Empty(t, arith.Expr{}.Key())
}

func TestExprKeyIgnoresOrderOfSumsAndProducts(t *testing.T) {
	t.Parallel()
	key := func(text string) string {
		e, err := arith.Parse(text)
		require.NoError(t, err)
		return e.Key()
	}
	require.Equal(t, key("(5 * (10 - 4)) - 6"), key("((10 - 4) * 5) - 6"))
	require.Equal(t, key("1 + 2 * 3"), key("3 * 2 + 1"))
	require.NotEqual(t, key("5 - 3"), key("3 - 5"))
	require.NotEqual(t, key("1 + (2 + 3)"), key("(1 + 2) + 3"), "associativity is not looked through")
}

func TestExprNumbersAndCombine(t *testing.T) {
	t.Parallel()
	a := arith.Combine(arith.Leaf(arith.Int(10)), arith.Minus, arith.Leaf(arith.Int(4)))
	e := arith.Combine(arith.Leaf(arith.Int(5)), arith.Times, a)
	require.Equal(t, "5 * (10 - 4)", e.String())
	require.Equal(t, "10 - 4", a.String(), "combining leaves the parts as they were")
	require.Equal(t, []arith.Number{arith.Int(5), arith.Int(10), arith.Int(4)}, e.AppendNumbers(nil))
}

// FuzzParse feeds arbitrary text: nothing crashes, and whatever is accepted is also an expression to Go's parser, with the value
// that math/big gives.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"5*(10-4) - 6", "8/(3-8/3)", "2**99", "((((1", "1/0", "٣+1", "- 4", "1 2", "00", strings.Repeat("(", 600)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := arith.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			return
		}
		tree, err := parser.ParseExpr(text)
		require.NoError(t, err)
		got, err := e.Value()
		want, ok := oracle(tree)
		if errors.Is(err, arith.ErrOverflow) {
			return
		}
		require.Equal(t, ok, err == nil, "%q: %v", text, err)
		if !ok {
			require.ErrorIs(t, err, arith.ErrZeroDivisor)
			return
		}
		require.Zero(t, want.Cmp(rat(got)), "%q is %v, want %v", text, got, want)
		again, err := arith.Parse(e.String())
		if len(e.String()) <= arith.MaxLength {
			require.NoError(t, err)
			require.Equal(t, e, again)
		}
	})
}

// oracle evaluates an expression of Go's parser with math/big; false for a division by zero.
func oracle(tree ast.Expr) (*big.Rat, bool) {
	switch e := tree.(type) {
	case *ast.ParenExpr:
		return oracle(e.X)
	case *ast.BasicLit:
		return new(big.Rat).SetString(e.Value)
	case *ast.BinaryExpr:
		x, ok1 := oracle(e.X)
		y, ok2 := oracle(e.Y)
		if !ok1 || !ok2 {
			return nil, false
		}
		switch e.Op {
		case token.ADD:
			return x.Add(x, y), true
		case token.SUB:
			return x.Sub(x, y), true
		case token.MUL:
			return x.Mul(x, y), true
		case token.QUO:
			if y.Sign() == 0 {
				return nil, false
			}
			return x.Quo(x, y), true
		}
	}
	return nil, false
}

// TestExprAgainstGo draws expressions and compares with Go's parser and math/big.
func TestExprAgainstGo(t *testing.T) {
	t.Parallel()
	var sum func(t *rapid.T, depth int) string
	sum = func(t *rapid.T, depth int) string {
		if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
			return fmt.Sprint(rapid.IntRange(0, 13).Draw(t, "n"))
		}
		op := rapid.SampledFrom([]string{"+", "-", "*", "/"}).Draw(t, "op")
		text := sum(t, depth-1) + op + sum(t, depth-1)
		if rapid.Bool().Draw(t, "parens") {
			return "(" + text + ")"
		}
		return text
	}
	rapid.Check(t, func(t *rapid.T) {
		text := sum(t, 3)
		tree, err := parser.ParseExpr(text)
		require.NoError(t, err)
		want, ok := oracle(tree)
		e, err := arith.Parse(text)
		require.NoError(t, err)
		got, err := e.Value()
		if !ok {
			require.ErrorIs(t, err, arith.ErrZeroDivisor)
			return
		}
		require.NoError(t, err)
		require.Zero(t, want.Cmp(rat(got)))
	})
}

func BenchmarkParseAndValue(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, err := arith.Parse("(5 * (10 - 4)) - 6")
		require.NoError(b, err)
		_, err = e.Value()
		require.NoError(b, err)
	}
}
