// Package arith is exact arithmetic on rational numbers and the grammar of expressions over them, for judging what a model wrote.
//
// There are no floats, no exponents and no evaluation by anything but this package. Numbers are fractions of 64-bit integers,
// which is far beyond what the puzzles reach; a result past that range is an error, never a wrong number. Text of any length and
// content is refused or read in time linear in its length.
package arith

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
)

// The two ways in which arithmetic on numbers can fail. Both are [hone.ErrInvalid].
var (
	// ErrZeroDivisor is a division by zero.
	ErrZeroDivisor = fmt.Errorf("division by zero: %w", hone.ErrInvalid)
	// ErrOverflow is a result whose numerator or denominator does not fit 64 bits.
	ErrOverflow = fmt.Errorf("number too large: %w", hone.ErrInvalid)
)

// Number is a rational number in lowest terms. The zero Number is 0, and numbers are equal when == says so.
type Number struct {
	num int64
	// over is the denominator less one, >= 0, so that the zero Number is 0/1.
	over int64
}

// Int is the integer n. It panics on the least int64, which has no negation; integers that are read from text are never that.
func Int(n int64) Number {
	if n == math.MinInt64 {
		panic("arith: integer out of range")
	}
	return Number{num: n}
}

// Fraction is num/den in lowest terms.
func Fraction(num, den int64) (Number, error) {
	if den == 0 {
		return Number{}, ErrZeroDivisor
	}
	if num == math.MinInt64 || den == math.MinInt64 {
		return Number{}, ErrOverflow
	}
	return reduce(num, den), nil
}

// ParseNumber reads a number as [Number.String] writes it: an optional minus, digits without leading zeros, and for a number that
// is no integer a slash and a denominator, in lowest terms. Anything else is [hone.ErrInvalid].
func ParseNumber(s string) (Number, error) {
	n, rest, ok := cutNumber(s)
	if !ok || rest != "" {
		return Number{}, fmt.Errorf("number %s: want digits such as 6, -2 or 8/3 in lowest terms: %w", quote(s), hone.ErrInvalid)
	}
	return n, nil
}

// CutNumber reads a number, as ParseNumber would, off the front of s and returns what follows it.
func CutNumber(s string) (n Number, rest string, ok bool) { return cutNumber(s) }

// Num is the numerator; it has the number's sign.
func (a Number) Num() int64 { return a.num }

// Den is the denominator, >= 1.
func (a Number) Den() int64 { return a.over + 1 }

// IsInt tells whether the number is an integer.
func (a Number) IsInt() bool { return a.over == 0 }

// Sign is -1, 0 or 1.
func (a Number) Sign() int {
	switch {
	case a.num < 0:
		return -1
	case a.num > 0:
		return 1
	}
	return 0
}

// Neg is -a.
func (a Number) Neg() Number { return Number{num: -a.num, over: a.over} }

// Compare is -1, 0 or 1 as a is less than, equal to or greater than b. It is exact for all numbers.
func (a Number) Compare(b Number) int {
	if sa, sb := a.Sign(), b.Sign(); sa != sb {
		if sa < sb {
			return -1
		}
		return 1
	}
	leftHigh, leftLow := bits.Mul64(magnitude(a.num), uint64(b.Den()))
	rightHigh, rightLow := bits.Mul64(magnitude(b.num), uint64(a.Den()))
	order := 0
	switch {
	case leftHigh < rightHigh, leftHigh == rightHigh && leftLow < rightLow:
		order = -1
	case leftHigh != rightHigh || leftLow != rightLow:
		order = 1
	}
	return order * a.Sign()
}

// Add is a + b.
func (a Number) Add(b Number) (Number, error) {
	if a.over == 0 && b.over == 0 {
		sum, ok := add(a.num, b.num)
		if !ok {
			return Number{}, ErrOverflow
		}
		return Number{num: sum}, nil
	}
	left, ok1 := mul(a.num, b.Den())
	right, ok2 := mul(b.num, a.Den())
	den, ok3 := mul(a.Den(), b.Den())
	if !ok1 || !ok2 || !ok3 {
		return Number{}, ErrOverflow
	}
	sum, ok := add(left, right)
	if !ok {
		return Number{}, ErrOverflow
	}
	return reduce(sum, den), nil
}

// Sub is a - b.
func (a Number) Sub(b Number) (Number, error) { return a.Add(b.Neg()) }

// Mul is a * b.
func (a Number) Mul(b Number) (Number, error) {
	num, ok1 := mul(a.num, b.num)
	if a.over == 0 && b.over == 0 && ok1 {
		return Number{num: num}, nil
	}
	den, ok2 := mul(a.Den(), b.Den())
	if !ok1 || !ok2 {
		return Number{}, ErrOverflow
	}
	return reduce(num, den), nil
}

// Div is a / b; [ErrZeroDivisor] when b is 0.
func (a Number) Div(b Number) (Number, error) {
	if b.num == 0 {
		return Number{}, ErrZeroDivisor
	}
	num, ok1 := mul(a.num, b.Den())
	den, ok2 := mul(a.Den(), b.num)
	if !ok1 || !ok2 {
		return Number{}, ErrOverflow
	}
	return reduce(num, den), nil
}

// String is the canonical form: "6", "-2", "8/3".
func (a Number) String() string { return string(a.Append(nil)) }

// Append appends the canonical form to dst.
func (a Number) Append(dst []byte) []byte {
	dst = strconv.AppendInt(dst, a.num, 10)
	if a.over > 0 {
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, a.Den(), 10)
	}
	return dst
}

// reduce is num/den in lowest terms; den is not 0 and neither is the least int64.
func reduce(num, den int64) Number {
	if den < 0 {
		num, den = -num, -den
	}
	if den == 1 {
		return Number{num: num}
	}
	if g := int64(gcd(magnitude(num), uint64(den))); g > 1 {
		num, den = num/g, den/g
	}
	return Number{num: num, over: den - 1}
}

// gcd is the greatest common divisor of a >= 0 and b >= 1, by the binary method.
func gcd(a, b uint64) uint64 {
	if a == 0 {
		return b
	}
	shift := bits.TrailingZeros64(a | b)
	a >>= bits.TrailingZeros64(a)
	for b != 0 {
		b >>= bits.TrailingZeros64(b)
		if a > b {
			a, b = b, a
		}
		b -= a
	}
	return a << shift
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

// add and mul keep within (-2^63, 2^63): the least int64 counts as overflow, so that every number has a negation.
func add(a, b int64) (int64, bool) {
	sum := a + b
	if (a > 0) == (b > 0) && (sum > 0) != (a > 0) && a != 0 && b != 0 || sum == math.MinInt64 {
		return 0, false
	}
	return sum, true
}

func mul(a, b int64) (int64, bool) {
	if product := a * b; int64(int32(a)) == a && int64(int32(b)) == b {
		return product, true
	}
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 || low > math.MaxInt64 {
		return 0, false
	}
	return a * b, true
}

// maxDigits keeps every integer that is read below 2^63.
const maxDigits = 18

// cutDigits reads digits without leading zeros off the front of s.
func cutDigits(s string) (n int64, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		if i >= maxDigits {
			return 0, s, false
		}
		n = n*10 + int64(s[i]-'0')
		i++
	}
	if i == 0 || i > 1 && s[0] == '0' {
		return 0, s, false
	}
	return n, s[i:], true
}

func cutNumber(s string) (n Number, rest string, ok bool) {
	tail, negative := strings.CutPrefix(s, "-")
	num, tail, ok := cutDigits(tail)
	if !ok || negative && num == 0 {
		return Number{}, s, false
	}
	den := int64(1)
	if after, slash := strings.CutPrefix(tail, "/"); slash {
		den, tail, ok = cutDigits(after)
		if !ok || den < 2 || gcd(uint64(num), uint64(den)) != 1 {
			return Number{}, s, false
		}
	}
	if negative {
		num = -num
	}
	return Number{num: num, over: den - 1}, tail, true
}

// quote shows text that may be long and hold anything.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
