package latex

import (
	"fmt"
	"math/big"
	"strings"
)

// atom reads what stands between operators.
func (p *parser) atom() node {
	t, ok := p.peek()
	if !ok {
		return p.fail("it ends too early")
	}
	if p.depth++; p.depth > maxDepth {
		p.depth--
		return p.fail("it nests too deep")
	}
	defer func() { p.depth-- }()
	p.at++
	switch {
	case t.number:
		if len(t.text) > maxDigits {
			return p.fail(fmt.Sprintf("a number of more than %d digits", maxDigits))
		}
		v, good := new(big.Rat).SetString(t.text)
		if !good {
			return p.fail(fmt.Sprintf("%q is no number", t.text))
		}
		return node{kind: kindNumber, value: v}
	case t.command:
		return p.command(t.text)
	case letter(t.text[0]):
		return p.variable(t.text)
	}
	switch t.text {
	case "(", "[":
		return p.span(t.text)
	case "{":
		n := p.list("")
		if !p.take("}", false) {
			return p.fail("a brace is not closed")
		}
		return n
	case "|":
		n := p.sum()
		if !p.take("|", false) {
			return p.fail("a bar is not closed")
		}
		return node{kind: kindFunction, name: "abs", args: []node{n}}
	}
	return p.fail(fmt.Sprintf("%q is out of place", t.text))
}

// variable reads a subscript, and arguments after f, g and h.
func (p *parser) variable(name string) node {
	if p.take("_", false) {
		name += "_" + p.argument().String()
	}
	if (name == "f" || name == "g" || name == "h") && p.take("(", false) {
		args := p.items()
		if !p.take(")", false) {
			return p.fail("a parenthesis is not closed")
		}
		return node{kind: kindFunction, name: name, args: args}
	}
	return node{kind: kindVariable, name: name}
}

// span reads what stands between brackets: a single expression in round ones, else an interval or a tuple.
func (p *parser) span(open string) node {
	items := p.items()
	for _, end := range []string{")", "]"} {
		if !p.take(end, false) {
			continue
		}
		if len(items) == 1 && (open == "(") == (end == ")") {
			return items[0]
		}
		return node{kind: kindSpan, name: open + end, args: items}
	}
	return p.fail("a bracket is not closed")
}

func (p *parser) command(name string) node {
	switch {
	case name == "frac":
		a := p.argument()
		return node{kind: kindQuotient, args: []node{a, p.argument()}}
	case name == "binom":
		a := p.argument()
		return node{kind: kindFunction, name: name, args: []node{a, p.argument()}}
	case name == "sqrt":
		degree := integer("2")
		if p.take("[", false) {
			degree = p.sum()
			if !p.take("]", false) {
				return p.fail("a bracket is not closed")
			}
		}
		return node{kind: kindRoot, args: []node{p.argument(), degree}}
	case name == "pi" || greek(name):
		return p.variable(name)
	case name == "infty":
		return node{kind: kindInfinity}
	case name == "emptyset":
		return node{kind: kindSet}
	case name == "{":
		if p.take("}", true) {
			return node{kind: kindSet}
		}
		items := p.items()
		if !p.take("}", true) {
			return p.fail("a set is not closed")
		}
		return node{kind: kindSet, args: items}
	case name == "begin":
		return p.matrix()
	case function(name):
		return p.function(name)
	}
	return p.fail(fmt.Sprintf("command %q is not known", name))
}

// function reads the power of a function, as in \sin^2 x, and its argument.
func (p *parser) function(name string) node {
	var power *node
	if p.take("_", false) {
		name += "_" + p.argument().String()
	}
	if p.take("^", false) {
		n := p.argument()
		power = &n
	}
	var arg node
	if p.is("(", false) || p.is("{", false) {
		arg = p.atom()
	} else {
		arg = p.power()
		for p.begins() && !p.is("(", false) {
			if t, _ := p.peek(); t.command && function(t.text) {
				break
			}
			arg = times(arg, p.power())
		}
	}
	out := node{kind: kindFunction, name: name, args: []node{arg}}
	if power != nil {
		out = node{kind: kindPower, args: []node{out, *power}}
	}
	return out
}

// matrix reads \begin{pmatrix} a & b \\ c & d \end{pmatrix}, whose \begin was read.
func (p *parser) matrix() node {
	skip := func() bool {
		if !p.take("{", false) {
			return false
		}
		var name strings.Builder
		for !p.take("}", false) {
			t, ok := p.peek()
			if !ok {
				return false
			}
			name.WriteString(t.text)
			p.at++
		}
		return strings.HasSuffix(name.String(), "matrix")
	}
	if !skip() {
		return p.fail("only matrices have a beginning and an end")
	}
	out := node{kind: kindMatrix, args: []node{{kind: kindSpan, name: "()"}}}
	for p.fault == "" {
		row := &out.args[len(out.args)-1]
		row.args = append(row.args, p.sum())
		switch {
		case p.take("&", false):
		case p.take(`\`, true):
			if p.is("end", true) { // a row that is empty
				continue
			}
			out.args = append(out.args, node{kind: kindSpan, name: "()"})
		case p.take("end", true):
			if !skip() {
				return p.fail("a matrix is not closed")
			}
			return out
		default:
			return p.fail("a matrix is not closed")
		}
	}
	return out
}

// String is a form of a node for names of subscripts and for messages; it is equal for equal trees.
func (n node) String() string {
	var out strings.Builder
	n.write(&out)
	return out.String()
}

func (n node) write(out *strings.Builder) {
	switch n.kind {
	case kindNumber:
		out.WriteString(n.value.RatString())
	case kindVariable, kindText:
		out.WriteString(n.name)
	default:
		fmt.Fprintf(out, "%d%s(", n.kind, n.name)
		for i, a := range n.args {
			if i > 0 {
				out.WriteByte(',')
			}
			a.write(out)
		}
		out.WriteByte(')')
	}
}
