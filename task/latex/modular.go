package latex

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
)

// primes are of 61 bits and 7 modulo 8, and every prime up to 47 is a square modulo each, so that x^((p+1)/4) is a root of small
// numbers and takes products to products.
var primes = [...]uint64{2305843009216971839, 2305878193589156471, 2305913377961600879} //nolint:gochecknoglobals // a table

const (
	// wantPoints is at how many points two expressions must agree, triedPoints how many are tried: a root that is none modulo a prime
	// says nothing.
	wantPoints  = 4
	triedPoints = 48
)

// point gives each variable a value modulo a prime.
type point struct {
	prime uint64
	seed  uint64
}

// points are the same for every comparison.
func points() []point {
	out := make([]point, triedPoints)
	for i := range out {
		out[i] = point{prime: primes[i%len(primes)], seed: hone.Seed(0, "latex", i)}
	}
	return out
}

// random is a residue named by the parts.
func (p point) random(name string, parts ...uint64) uint64 {
	b := binary.LittleEndian.AppendUint64([]byte(name+"\x00"), p.seed)
	for _, v := range parts {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:]) % p.prime
}

// whole is the integer that a variable stands for: small, and a square, so that its root is positive.
func (p point) whole(name string) *big.Rat {
	r := int64(p.random(name) % 1000003)
	return new(big.Rat).SetInt64(r * r)
}

func (p point) add(a, b uint64) uint64 { return (a + b) % p.prime }

func (p point) negative(a uint64) uint64 { return (p.prime - a) % p.prime }

func (p point) mul(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	_, rest := bits.Div64(high, low, p.prime)
	return rest
}

func (p point) power(a, exponent uint64) uint64 {
	out := uint64(1)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			out = p.mul(out, a)
		}
		a = p.mul(a, a)
	}
	return out
}

// inverse is 1/a for a other than 0 (Fermat).
func (p point) inverse(a uint64) uint64 { return p.power(a, p.prime-2) }

// root is the square root of a square; false for a residue that is none.
func (p point) root(a uint64) (uint64, bool) {
	r := p.power(a, (p.prime+1)/4)
	return r, p.mul(r, r) == a
}

// fraction is a rational number; false where its denominator is 0 modulo the prime.
func (p point) fraction(v *big.Rat) (uint64, bool) {
	modulus := new(big.Int).SetUint64(p.prime)
	num := new(big.Int).Mod(v.Num(), modulus).Uint64()
	den := new(big.Int).Mod(v.Denom(), modulus).Uint64()
	if den == 0 {
		return 0, false
	}
	return p.mul(num, p.inverse(den)), true
}

// value is an expression at the point; false where it has none there.
func (p point) value(n node) (uint64, bool) {
	if n.constant() {
		if v, ok := rational(n); ok {
			return p.fraction(v)
		}
	}
	switch n.kind {
	case kindVariable:
		if n.name == "pi" || n.name == "e" {
			return p.random(n.name), true
		}
		return p.fraction(p.whole(n.name))
	case kindNegative:
		v, ok := p.value(n.args[0])
		return p.negative(v), ok
	case kindSum, kindProduct, kindQuotient:
		return p.folded(n)
	case kindPower:
		return p.raised(n)
	case kindRoot:
		degree, ok := rational(n.args[1])
		v, ok2 := p.value(n.args[0])
		switch {
		case !ok || !ok2:
			return 0, false
		case degree.Cmp(big.NewRat(2, 1)) == 0:
			return p.root(v)
		}
		return p.random("root"+degree.RatString(), v), true
	case kindFunction:
		return p.function(n)
	default:
		return 0, false
	}
}

func (p point) folded(n node) (uint64, bool) {
	total, ok := p.value(n.args[0])
	for _, a := range n.args[1:] {
		v, good := p.value(a)
		if !ok || !good {
			return 0, false
		}
		switch {
		case n.kind == kindSum:
			total = p.add(total, v)
		case n.kind == kindProduct:
			total = p.mul(total, v)
		case v == 0:
			return 0, false
		default:
			total = p.mul(total, p.inverse(v))
		}
	}
	return total, ok
}

// raised is a power. An exponent with variables is computed exactly, at the integers that the variables stand for.
func (p point) raised(n node) (uint64, bool) {
	base, ok := p.value(n.args[0])
	exponent, ok2 := rational(p.substitute(n.args[1]))
	if !ok || !ok2 {
		return 0, false
	}
	twice := new(big.Rat).Mul(exponent, big.NewRat(2, 1))
	switch {
	case exponent.IsInt():
	case twice.IsInt():
		if base, ok = p.root(base); !ok {
			return 0, false
		}
		exponent = twice
	default:
		return p.random("power"+exponent.RatString(), base), true
	}
	if base == 0 {
		return 0, exponent.Sign() > 0
	}
	order := new(big.Int).SetUint64(p.prime - 1)
	return p.power(base, new(big.Int).Mod(exponent.Num(), order).Uint64()), true
}

// substitute puts in the integers that variables stand for.
func (p point) substitute(n node) node {
	if n.kind == kindVariable && n.name != "pi" && n.name != "e" {
		return node{kind: kindNumber, value: p.whole(n.name)}
	}
	if len(n.args) > 0 {
		n.args = slices.Clone(n.args)
		for i, a := range n.args {
			n.args[i] = p.substitute(a)
		}
	}
	return n
}

// function is a residue that is equal for equal arguments; the absolute value is the root of the square.
func (p point) function(n node) (uint64, bool) {
	parts := make([]uint64, len(n.args))
	for i, a := range n.args {
		v, ok := p.value(a)
		if !ok {
			return 0, false
		}
		parts[i] = v
	}
	if n.name == "abs" {
		return p.root(p.mul(parts[0], parts[0]))
	}
	if name, ok := strings.CutPrefix(n.name, "log_"); ok && name == "e" {
		n.name = "ln"
	}
	return p.random("function "+n.name, parts...), true
}
