package latex

import (
	"math/big"
)

// maxBits bounds numerators and denominators, and with them the time that a comparison takes.
const maxBits = 1 << 14

// rational is the exact value of a constant without roots that stay, pi and e; false where it has none, divides by zero or is larger
// than maxBits.
func rational(n node) (*big.Rat, bool) {
	switch n.kind {
	case kindNumber:
		return n.value, true
	case kindNegative:
		v, ok := rational(n.args[0])
		if !ok {
			return nil, false
		}
		return new(big.Rat).Neg(v), true
	case kindSum, kindProduct, kindQuotient:
		return folded(n)
	case kindPower:
		base, ok := rational(n.args[0])
		exponent, ok2 := rational(n.args[1])
		if !ok || !ok2 {
			return nil, false
		}
		if !exponent.IsInt() {
			return rootOf(base, exponent.Denom(), exponent.Num())
		}
		return power(base, exponent.Num())
	case kindRoot:
		base, ok := rational(n.args[0])
		degree, ok2 := rational(n.args[1])
		if !ok || !ok2 || !degree.IsInt() {
			return nil, false
		}
		return rootOf(base, degree.Num(), big.NewInt(1))
	case kindFunction:
		return computed(n)
	default:
		return nil, false
	}
}

// folded is a sum, a product or a quotient.
func folded(n node) (*big.Rat, bool) {
	total, ok := rational(n.args[0])
	if !ok {
		return nil, false
	}
	total = new(big.Rat).Set(total)
	for _, a := range n.args[1:] {
		v, ok := rational(a)
		switch {
		case !ok:
			return nil, false
		case n.kind == kindSum:
			total.Add(total, v)
		case n.kind == kindProduct:
			total.Mul(total, v)
		case v.Sign() == 0:
			return nil, false
		default:
			total.Quo(total, v)
		}
		if !fits(total) {
			return nil, false
		}
	}
	return total, true
}

func fits(v *big.Rat) bool { return v.Num().BitLen() <= maxBits && v.Denom().BitLen() <= maxBits }

// power is base to an integer, where it fits.
func power(base *big.Rat, exponent *big.Int) (*big.Rat, bool) {
	if !exponent.IsInt64() {
		return nil, false
	}
	e := exponent.Int64()
	bits := int64(max(base.Num().BitLen(), base.Denom().BitLen()))
	if e < -maxBits || e > maxBits || bits*max(e, -e) > maxBits || base.Sign() == 0 && e < 0 {
		return nil, false
	}
	size := big.NewInt(max(e, -e))
	out := new(big.Rat).SetFrac(new(big.Int).Exp(base.Num(), size, nil), new(big.Int).Exp(base.Denom(), size, nil))
	if e < 0 {
		out.Inv(out)
	}
	return out, true
}

// rootOf is base^(times/degree) where that is rational.
func rootOf(base *big.Rat, degree, times *big.Int) (*big.Rat, bool) {
	const highest = 64
	if !degree.IsInt64() || degree.Int64() < 2 || degree.Int64() > highest {
		return nil, false
	}
	d := int(degree.Int64())
	num, ok := wholeRoot(base.Num(), d)
	den, ok2 := wholeRoot(base.Denom(), d)
	if !ok || !ok2 {
		return nil, false
	}
	return power(new(big.Rat).SetFrac(num, den), times)
}

// wholeRoot is the integer whose d-th power is n.
func wholeRoot(n *big.Int, d int) (*big.Int, bool) {
	if n.Sign() < 0 {
		if d%2 == 0 {
			return nil, false
		}
		r, ok := wholeRoot(new(big.Int).Neg(n), d)
		if !ok {
			return nil, false
		}
		return r.Neg(r), true
	}
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), uint(n.BitLen()/d+1))
	exponent := big.NewInt(int64(d))
	for low.Cmp(high) < 0 { // the largest whose power is at most n
		middle := new(big.Int).Add(low, high)
		middle.Rsh(middle.Add(middle, big.NewInt(1)), 1)
		if new(big.Int).Exp(middle, exponent, nil).Cmp(n) <= 0 {
			low = middle
		} else {
			high = middle.Sub(middle, big.NewInt(1))
		}
	}
	return low, new(big.Int).Exp(low, exponent, nil).Cmp(n) == 0
}

// computed is a function of integers that has an exact value.
func computed(n node) (*big.Rat, bool) {
	const most = 200 // 200! has 1245 bits
	args := make([]int64, len(n.args))
	for i, a := range n.args {
		v, ok := rational(a)
		if !ok {
			return nil, false
		}
		if n.name == "abs" {
			return new(big.Rat).Abs(v), true
		}
		if !v.IsInt() || v.Sign() < 0 || v.Cmp(big.NewRat(most, 1)) > 0 {
			return nil, false
		}
		args[i] = v.Num().Int64()
	}
	switch n.name {
	case "factorial":
		return new(big.Rat).SetInt(new(big.Int).MulRange(1, args[0])), true
	case "binom":
		return new(big.Rat).SetInt(new(big.Int).Binomial(args[0], args[1])), true
	}
	return nil, false
}

// precision is that of constants with roots, in bits; two of them within 2^-tolerance of their size are one number. Constants of a few
// terms that differ are much farther apart, and decimal approximations have maxDigits digits at most and are compared as they are.
const (
	precision = 1280
	tolerance = 1100
)

// The first 400 decimals of pi and of e, which are 1328 bits.
const (
	piDigits = "3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679" +
		"8214808651328230664709384460955058223172535940812848111745028410270193852110555964462294895493038196" +
		"4428810975665933446128475648233786783165271201909145648566923460348610454326648213393607260249141273" +
		"7245870066063155881748815209209628292540917153643678925903600113305305488204665213841469519415116094"
	eDigits = "2.7182818284590452353602874713526624977572470936999595749669676277240766303535475945713821785251664274" +
		"2746639193200305992181741359662904357290033429526059563073813232862794349076323382988075319525101901" +
		"1573834187930702154089149934884167509244761460668082264800168477411853742345442437107539077744992069" +
		"5517027618386062613313845830007520449338265602976067371132007093287091274437470472306969772093101416"
)

// decimal is the value of a constant to that precision; false where it has none or is too large.
func decimal(n node) (*big.Float, bool) {
	if v, ok := rational(n); ok {
		return newFloat().SetRat(v), true
	}
	switch n.kind {
	case kindVariable:
		digits := piDigits
		if n.name == "e" {
			digits = eDigits
		}
		return newFloat().SetString(digits)
	case kindNegative:
		v, ok := decimal(n.args[0])
		if !ok {
			return nil, false
		}
		return newFloat().Neg(v), true
	case kindSum, kindProduct, kindQuotient:
		return foldedDecimal(n)
	case kindPower:
		exponent, ok := rational(n.args[1])
		if !ok {
			return nil, false
		}
		return powerDecimal(n.args[0], exponent)
	case kindRoot:
		degree, ok := rational(n.args[1])
		if !ok || degree.Sign() <= 0 {
			return nil, false
		}
		return powerDecimal(n.args[0], new(big.Rat).Inv(degree))
	case kindFunction:
		v, ok := decimal(n.args[0])
		if !ok || n.name != "abs" {
			return nil, false
		}
		return newFloat().Abs(v), true
	default:
		return nil, false
	}
}

func newFloat() *big.Float { return new(big.Float).SetPrec(precision) }

func foldedDecimal(n node) (*big.Float, bool) {
	total, ok := decimal(n.args[0])
	if !ok {
		return nil, false
	}
	for _, a := range n.args[1:] {
		v, ok := decimal(a)
		switch {
		case !ok:
			return nil, false
		case n.kind == kindSum:
			total = newFloat().Add(total, v)
		case n.kind == kindProduct:
			total = newFloat().Mul(total, v)
		case v.Sign() == 0:
			return nil, false
		default:
			total = newFloat().Quo(total, v)
		}
	}
	return total, bounded(total)
}

// bounded keeps exponents where no operation can overflow.
func bounded(v *big.Float) bool {
	const most = 1 << 20
	e := v.MantExp(nil)
	return !v.IsInf() && e > -most && e < most
}

// powerDecimal is base^exponent, by integer powers and Newton's iteration for roots.
func powerDecimal(n node, exponent *big.Rat) (*big.Float, bool) {
	const highest = 12
	base, ok := decimal(n)
	if !ok || !exponent.Num().IsInt64() || exponent.Denom().Cmp(big.NewInt(highest)) > 0 {
		return nil, false
	}
	times, degree := exponent.Num().Int64(), int(exponent.Denom().Int64())
	if times < -maxBits || times > maxBits || base.Sign() == 0 {
		return newFloat(), base.Sign() == 0 && times > 0
	}
	root, ok := rootDecimal(base, degree)
	if !ok {
		return nil, false
	}
	out := newFloat().SetInt64(1)
	for left := max(times, -times); left > 0; left >>= 1 {
		if left&1 == 1 {
			out.Mul(out, root)
		}
		root = newFloat().Mul(root, root)
		if !bounded(out) || !bounded(root) {
			return nil, false
		}
	}
	if times < 0 {
		out.Quo(newFloat().SetInt64(1), out)
	}
	return out, true
}

// rootDecimal is the real root of that degree; of negative numbers there are odd ones alone.
func rootDecimal(v *big.Float, degree int) (*big.Float, bool) {
	switch {
	case degree == 1:
		return v, true
	case v.Sign() < 0 && degree%2 == 0:
		return nil, false
	case v.Sign() < 0:
		r, ok := rootDecimal(newFloat().Neg(v), degree)
		if !ok {
			return nil, false
		}
		return r.Neg(r), true
	case degree == 2:
		return newFloat().Sqrt(v), true
	}
	// x <- ((d-1) x + v / x^(d-1)) / d from above, until it stops.
	x := newFloat().SetMantExp(newFloat().SetInt64(1), v.MantExp(nil)/degree+1)
	d := newFloat().SetInt64(int64(degree))
	for range 4 * precision {
		low := newFloat().SetInt64(1)
		for range degree - 1 {
			low.Mul(low, x)
		}
		next := newFloat().Mul(newFloat().SetInt64(int64(degree-1)), x)
		next.Quo(next.Add(next, newFloat().Quo(v, low)), d)
		if alike(next, x) {
			return next, true
		}
		x = next
	}
	return nil, false
}

// alike tells whether two values are one to the tolerance.
func alike(a, b *big.Float) bool {
	difference := newFloat().Sub(a, b)
	if difference.Sign() == 0 {
		return true
	}
	size := max(a.MantExp(nil), b.MantExp(nil), 0)
	return difference.MantExp(nil) < size-tolerance
}
