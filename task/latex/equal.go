package latex

import (
	"slices"
	"strings"
)

// equal tells whether two answers are one mathematical object.
func equal(a, b node) bool {
	a, b = simple(a), simple(b)
	if a.structural() || b.structural() {
		return sameStructure(a, b)
	}
	return sameValue(a, b)
}

// structural tells of nodes that have parts to compare rather than a value.
func (n node) structural() bool {
	switch n.kind {
	case kindInfinity, kindSpan, kindSet, kindUnion, kindRelation, kindText, kindMatrix:
		return true
	case kindNegative:
		return n.args[0].structural()
	default:
		return false
	}
}

// simple drops what is written and says nothing: a set of one element is that element.
func simple(n node) node {
	for n.kind == kindSet && len(n.args) == 1 {
		n = n.args[0]
	}
	return n
}

func sameStructure(a, b node) bool {
	if a.kind == kindRelation && b.kind == kindRelation {
		return sameRelation(a, b)
	}
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case kindInfinity:
		return true
	case kindText:
		return a.name == b.name
	case kindSet, kindUnion:
		return sameMembers(a.args, b.args)
	case kindNegative:
		return equal(a.args[0], b.args[0])
	default:
		return a.name == b.name && sameInOrder(a.args, b.args)
	}
}

func sameInOrder(a, b []node) bool {
	return slices.EqualFunc(a, b, equal)
}

// sameMembers compares sets: each member of one is in the other, and repetitions count once.
func sameMembers(a, b []node) bool {
	const most = 24 // members; a comparison takes all pairs
	if len(a) > most || len(b) > most {
		return false
	}
	within := func(in []node) func(node) bool {
		return func(n node) bool { return slices.ContainsFunc(in, func(m node) bool { return equal(n, m) }) }
	}
	for _, n := range a {
		if !within(b)(n) {
			return false
		}
	}
	for _, n := range b {
		if !within(a)(n) {
			return false
		}
	}
	return true
}

// mirror reads a relation from right to left.
var mirror = map[string]string{"<": ">", ">": "<", "le": "ge", "ge": "le"} //nolint:gochecknoglobals // a table

// sameRelation compares relations side by side, and read backwards. Equations are one also where a factor is all that tells them apart.
func sameRelation(a, b node) bool {
	if a.name == "=" && b.name == "=" {
		return proportional(difference(a), difference(b))
	}
	if a.name == b.name && sameInOrder(a.args, b.args) {
		return true
	}
	ops := strings.Fields(b.name)
	slices.Reverse(ops)
	for i, op := range ops {
		if as, ok := mirror[op]; ok {
			ops[i] = as
		}
	}
	args := slices.Clone(b.args)
	slices.Reverse(args)
	return a.name == strings.Join(ops, " ") && sameInOrder(a.args, args)
}

// difference is the left side of an equation less the right one.
func difference(n node) node {
	return node{kind: kindSum, args: []node{n.args[0], {kind: kindNegative, args: n.args[1:2]}}}
}

// sameValue compares expressions: constants exactly or to 1,100 bits, others at random points.
func sameValue(a, b node) bool {
	if a.constant() && b.constant() {
		x, okA := rational(a)
		y, okB := rational(b)
		if okA && okB {
			return x.Cmp(y) == 0
		}
		v, okA := decimal(a)
		w, okB := decimal(b)
		return okA && okB && alike(v, w)
	}
	agreed := 0
	for _, at := range points() {
		x, okA := at.value(a)
		y, okB := at.value(b)
		if !okA || !okB {
			continue // a root that is none modulo this prime, or a division by zero
		}
		if x != y {
			return false
		}
		if agreed++; agreed == wantPoints {
			return true
		}
	}
	return false
}

// proportional tells whether a is b times a number other than 0.
func proportional(a, b node) bool {
	agreed := 0
	var ratios []residue
	for _, at := range points() {
		x, okA := at.value(a)
		y, okB := at.value(b)
		if !okA || !okB || x == 0 || y == 0 {
			if okA && okB && (x == 0) != (y == 0) {
				return false
			}
			continue
		}
		// A rational factor is the same fraction under each prime; within one prime it is the same residue.
		ratios = append(ratios, residue{at.prime, at.mul(x, at.inverse(y))})
		agreed++
	}
	for i, r := range ratios {
		for _, s := range ratios[:i] {
			if r.prime == s.prime && r.value != s.value {
				return false
			}
		}
	}
	return agreed >= wantPoints
}

// residue is a value modulo a prime.
type residue struct{ prime, value uint64 }

// constant tells whether a node has a number for a value: no variables, and no functions that are not computed.
func (n node) constant() bool {
	switch n.kind {
	case kindVariable:
		return n.name == "pi" || n.name == "e"
	case kindFunction:
		return (n.name == "factorial" || n.name == "abs" || n.name == "binom") && !slices.ContainsFunc(n.args, variable)
	default:
		return !slices.ContainsFunc(n.args, variable)
	}
}

func variable(n node) bool { return !n.constant() }
