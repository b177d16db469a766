package prose

import (
	"strings"

	"github.com/hone-rl/hone/task/arith"
)

// Quantity is a number as prose writes it: "$1,234.50", "-3/4", "1 1/2", "50%".
type Quantity struct {
	// Value is what is written, without regard to a percent sign.
	Value arith.Number
	// Percent tells that a percent sign follows.
	Percent bool
}

// Equal tells whether two quantities are one number. A percentage stands for a hundredth and, where the other side has no sign, for
// the number before the sign too: "the answer in percent is 50" and "50%" are both in use.
func (q Quantity) Equal(other Quantity) bool {
	if q.Percent == other.Percent {
		return q.Value == other.Value
	}
	if q.Percent {
		return q.Value == other.Value || q.hundredth() == other.Value
	}
	return q.Value == other.Value || q.Value == other.hundredth()
}

// hundredth is the share that a percentage is; too small a number to hold stays as it is.
func (q Quantity) hundredth() arith.Number {
	n, err := q.Value.Div(arith.Int(100))
	if err != nil {
		return q.Value
	}
	return n
}

// currencies are signs that may stand before or after the minus of an amount.
var currencies = []string{"$", `\$`, "€", "£"} //nolint:gochecknoglobals // a table

// minus are the signs of a negative number.
var minus = []string{"-", "−"} //nolint:gochecknoglobals // a table

func cutAny(s string, heads []string) (string, bool) {
	for _, h := range heads {
		if rest, ok := strings.CutPrefix(s, h); ok {
			return rest, true
		}
	}
	return s, false
}

// CutQuantity reads a quantity off the front of s and returns what follows it. Commas group three digits; a number may begin with
// its point; a space joins an integer and a proper fraction ("1 1/2"). A number that does not fit 64-bit fractions is no quantity.
func CutQuantity(s string) (q Quantity, rest string, ok bool) { return cutSigned(s, cutUnsigned) }

// cutSigned reads a sign, a currency, the number and a percent sign.
func cutSigned(s string, number func(string) (arith.Number, string, bool)) (q Quantity, rest string, ok bool) {
	tail, negative := cutAny(s, minus)
	tail, _ = cutAny(tail, currencies)
	if !negative {
		tail, negative = cutAny(tail, minus)
	}
	q.Value, tail, ok = number(tail)
	if !ok {
		return q, s, false
	}
	if negative {
		q.Value = q.Value.Neg()
	}
	if after, percent := cutAny(strings.TrimLeft(tail, " "), []string{"%", `\%`}); percent {
		q.Percent, tail = true, after
	}
	return q, tail, true
}

// cutUnsigned reads a decimal, a fraction of integers or a mixed number.
func cutUnsigned(s string) (n arith.Number, rest string, ok bool) {
	n, rest, ok = cutDecimal(s)
	if !ok || !n.IsInt() {
		return n, rest, ok
	}
	if after, slash := strings.CutPrefix(rest, "/"); slash {
		if den, tail, good := cutDecimal(after); good && den.IsInt() && den.Sign() != 0 {
			q, err := n.Div(den)
			return q, tail, err == nil
		}
		return n, rest, true
	}
	if after, space := strings.CutPrefix(rest, " "); space {
		num, tail, good := cutDecimal(after)
		slash, has := strings.CutPrefix(tail, "/")
		den, tail, fine := cutDecimal(slash)
		if good && has && fine && num.IsInt() && den.IsInt() && num.Sign() > 0 && num.Compare(den) < 0 {
			part, err := num.Div(den)
			sum, err2 := n.Add(part)
			if err == nil && err2 == nil {
				return sum, tail, true
			}
		}
	}
	return n, rest, true
}

// cutDecimal reads digits, with commas between groups of three, and decimals.
func cutDecimal(s string) (n arith.Number, rest string, ok bool) {
	value, digits, i := int64(0), 0, 0
	put := func(c byte) bool {
		if value > (1<<62)/10 {
			return false
		}
		value, digits = value*10+int64(c-'0'), digits+1
		return true
	}
	for i < len(s) {
		switch {
		case isDigit(s[i]):
			if !put(s[i]) {
				return n, s, false
			}
			i++
			continue
		case s[i] == ',' && digits > 0 && groups(s[i+1:]):
			i++
			continue
		}
		break
	}
	scale := int64(1)
	if i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		for i++; i < len(s) && isDigit(s[i]); i++ {
			if scale > (1<<62)/10 || !put(s[i]) {
				return n, s, false
			}
			scale *= 10
		}
	}
	if digits == 0 {
		return n, s, false
	}
	n, err := arith.Fraction(value, scale)
	return n, s[i:], err == nil
}

// groups tells whether s begins with exactly three digits, as after a comma within a number.
func groups(s string) bool {
	return len(s) >= 3 && isDigit(s[0]) && isDigit(s[1]) && isDigit(s[2]) && (len(s) == 3 || !isDigit(s[3]))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// String is the canonical form of the value, with its percent sign.
func (q Quantity) String() string {
	if q.Percent {
		return q.Value.String() + "%"
	}
	return q.Value.String()
}
