package latex

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
)

// kind says what a node is.
type kind int

const (
	kindNumber   kind = iota // value
	kindVariable             // name, with its subscript; pi and e are constants of that name
	kindSum                  // args
	kindProduct              // args
	kindQuotient             // args[0] / args[1]
	kindPower                // args[0] ^ args[1]
	kindNegative             // -args[0]
	kindRoot                 // root of degree args[1] of args[0]
	kindFunction             // name(args...)
	kindInfinity
	kindSpan     // name is the two brackets; args
	kindSet      // args, in any order, each once
	kindUnion    // args
	kindRelation // name is the operators, separated by spaces; args
	kindText     // name
	kindMatrix   // args are rows, spans of cells
)

// node is a part of an answer.
type node struct {
	kind  kind
	name  string
	value *big.Rat
	args  []node
}

// maxDigits bounds the numbers that are read.
const maxDigits = 256

// parse reads an answer. Text that is no mathematics, in \text or bare words, is a kindText.
func parse(text string) (node, error) {
	text = strings.TrimSpace(text)
	if words, ok := wordsOf(text); ok {
		return node{kind: kindText, name: words}, nil
	}
	tokens, err := scan(joinText(text))
	if err != nil {
		return node{}, err
	}
	sign := slices.IndexFunc(tokens, func(t token) bool { return t.command && (t.text == "pm" || t.text == "mp") })
	if sign < 0 {
		return parseTokens(tokens)
	}
	out := node{kind: kindSet}
	for _, signs := range []map[string]string{{"pm": "+", "mp": "-"}, {"pm": "-", "mp": "+"}} {
		one := slices.Clone(tokens)
		for i, t := range one {
			if as, ok := signs[t.text]; ok && t.command {
				one[i] = token{text: as}
			}
		}
		n, err := parseTokens(one)
		if err != nil {
			return n, err
		}
		if n.kind == kindSet {
			out.args = append(out.args, n.args...)
		} else {
			out.args = append(out.args, n)
		}
	}
	return out, nil
}

// wordsOf is the text of an answer that is words: two letters or more in a row outside of commands, or all of it in \text.
func wordsOf(text string) (string, bool) {
	inner := text
	for _, head := range []string{`\text{`, `\textbf{`, `\mathrm{`, `\mbox{`} {
		if rest, ok := strings.CutPrefix(text, head); ok && strings.Count(rest, "}") == 1 && strings.HasSuffix(rest, "}") {
			inner = strings.TrimSuffix(rest, "}")
			return strings.ToLower(strings.Join(strings.Fields(strings.Trim(inner, "().")), " ")), true
		}
	}
	if len(inner) < 3 || strings.ContainsAny(inner, `\^_{}=+*/<>|`) {
		return "", false
	}
	for i := range len(inner) {
		if c := inner[i]; !letter(c) && c != ' ' && c != '-' && c != '.' {
			return "", false
		}
	}
	return strings.ToLower(strings.Join(strings.Fields(strings.Trim(inner, ".")), " ")), true
}

// joinText replaces \text{or} and \text{and} by commas and drops all other text, which is units.
func joinText(text string) string {
	var out strings.Builder
	for {
		at := -1
		var head string
		for _, h := range []string{`\text{`, `\textbf{`, `\mathrm{`, `\mbox{`, `\textit{`} {
			if i := strings.Index(text, h); i >= 0 && (at < 0 || i < at) {
				at, head = i, h
			}
		}
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:at])
		body, rest, closed := strings.Cut(text[at+len(head):], "}")
		if word := strings.Trim(body, " ,"); word == "or" || word == "and" {
			out.WriteString(" , ")
		} else {
			out.WriteString(" ")
			if strings.HasPrefix(rest, "^2") || strings.HasPrefix(rest, "^3") { // of a unit
				rest = rest[2:]
			}
		}
		if !closed {
			return out.String()
		}
		text = rest
	}
}

func parseTokens(tokens []token) (node, error) {
	p := parser{tokens: tokens}
	n := p.list("")
	if p.fault == "" && p.at < len(p.tokens) {
		p.fault = fmt.Sprintf("%q is out of place", p.tokens[p.at].text)
	}
	if p.fault != "" {
		return n, fmt.Errorf("answer: %s: %w", p.fault, hone.ErrInvalid)
	}
	return n, nil
}

// parser reads tokens; after a fault it goes on without harm.
//
//	list     = relation { "," relation } .                a set where there are several
//	relation = union { ("=" | "<" | \le | \in ...) union } .
//	union    = sum { \cup sum } .
//	sum      = product { ("+" | "-") product } .
//	product  = power { ["*" | \cdot | "/" ...] power } .
//	power    = atom [ "^" argument ] [ "!" ] .
type parser struct {
	tokens []token
	at     int
	depth  int
	fault  string
}

func (p *parser) fail(what string) node {
	if p.fault == "" {
		p.fault = what
	}
	return node{kind: kindNumber, value: new(big.Rat)}
}

func (p *parser) peek() (token, bool) {
	if p.at < len(p.tokens) && p.fault == "" {
		return p.tokens[p.at], true
	}
	return token{}, false
}

// is tells whether the next token is that character or command.
func (p *parser) is(text string, command bool) bool {
	t, ok := p.peek()
	return ok && t.text == text && t.command == command && !t.number
}

func (p *parser) take(text string, command bool) bool {
	if p.is(text, command) {
		p.at++
		return true
	}
	return false
}

// list reads what stands between commas. Within brackets the caller makes of it what they say.
func (p *parser) list(_ string) node {
	items := p.items()
	if len(items) == 1 {
		return items[0]
	}
	return node{kind: kindSet, args: items}
}

func (p *parser) items() []node {
	items := []node{p.relation()}
	for p.take(",", false) || p.take(",", true) || p.take(";", false) {
		items = append(items, p.relation())
	}
	return items
}

// relations are the operators of a relation.
var relations = map[string]bool{ //nolint:gochecknoglobals // a table
	"=": true, "<": true, ">": true, "le": true, "ge": true, "ne": true, "in": true, "approx": false,
}

func (p *parser) relation() node {
	args := []node{p.union()}
	var ops []string
	for {
		t, ok := p.peek()
		if !ok || !relations[t.text] {
			break
		}
		p.at++
		ops = append(ops, t.text)
		args = append(args, p.union())
	}
	if len(ops) == 0 {
		return args[0]
	}
	last := ops[len(ops)-1]
	named := args[0].kind == kindVariable || args[0].kind == kindFunction || args[0].kind == kindSpan && len(ops) == 1 && last == "="
	if named && len(ops) == 1 && (last == "=" || last == "in") {
		return args[1] // "x = 5" answers as 5 does
	}
	return node{kind: kindRelation, name: strings.Join(ops, " "), args: args}
}

func (p *parser) union() node {
	args := []node{p.sum()}
	for p.take("cup", true) {
		args = append(args, p.sum())
	}
	if len(args) == 1 {
		return args[0]
	}
	return node{kind: kindUnion, args: args}
}

func (p *parser) sum() node {
	if p.depth++; p.depth > maxDepth {
		p.depth--
		return p.fail("it nests too deep")
	}
	defer func() { p.depth-- }()
	p.take("+", false)
	args := []node{p.product()}
	for {
		switch {
		case p.take("+", false):
			args = append(args, p.product())
		case p.take("-", false):
			args = append(args, node{kind: kindNegative, args: []node{p.product()}})
		case len(args) == 1:
			return args[0]
		default:
			return node{kind: kindSum, args: args}
		}
	}
}

func (p *parser) product() node {
	if p.take("-", false) {
		return node{kind: kindNegative, args: []node{p.product()}}
	}
	out := p.power()
	for {
		switch {
		case p.take("*", false), p.take("*", true), p.take("cdot", true), p.take("times", true):
			out = times(out, p.signed())
		case p.take("/", false), p.take("div", true):
			out = node{kind: kindQuotient, args: []node{out, p.signed()}}
		case p.begins():
			if out.kind == kindNumber && out.value.IsInt() && p.is("frac", true) && p.mixed() {
				out = node{kind: kindSum, args: []node{out, p.power()}}
				continue
			}
			if t, _ := p.peek(); t.number {
				return p.fail("two numbers in a row")
			}
			out = times(out, p.power())
		default:
			return out
		}
	}
}

func times(a, b node) node { return node{kind: kindProduct, args: []node{a, b}} }

// signed is a factor that may have a sign, as in 2 \cdot -3.
func (p *parser) signed() node {
	if p.take("-", false) {
		return node{kind: kindNegative, args: []node{p.power()}}
	}
	return p.power()
}

// mixed tells whether a fraction of two integers follows, so that 1\frac{1}{2} is one and a half.
func (p *parser) mixed() bool {
	ahead := *p
	f := ahead.power()
	return ahead.fault == "" && f.kind == kindQuotient && f.args[0].kind == kindNumber && f.args[1].kind == kindNumber &&
		f.args[0].value.Cmp(f.args[1].value) < 0
}

// begins tells whether a factor can begin here, so that factors without a sign between them are multiplied.
func (p *parser) begins() bool {
	t, ok := p.peek()
	switch {
	case !ok:
		return false
	case t.number:
		return true
	case t.command:
		return t.text == "frac" || t.text == "sqrt" || t.text == "pi" || t.text == "binom" || function(t.text) || greek(t.text)
	}
	return letter(t.text[0]) || t.text == "("
}

func function(name string) bool {
	return slices.Contains([]string{"sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "asin", "acos", "atan"}, name)
}

func greek(name string) bool {
	return slices.Contains([]string{
		"alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "nu", "rho", "sigma", "tau", "phi", "omega", "ell",
	}, name)
}

func (p *parser) power() node {
	out := p.atom()
	for p.fault == "" {
		switch {
		case p.take("^", false):
			out = node{kind: kindPower, args: []node{out, p.argument()}}
		case p.take("!", false):
			out = node{kind: kindFunction, name: "factorial", args: []node{out}}
		default:
			return out
		}
	}
	return out
}

// argument is what follows ^ or _, or a command that takes one: a group in braces or a single token; of a number its first digit.
func (p *parser) argument() node {
	if p.take("{", false) {
		n := p.sum()
		if !p.take("}", false) {
			return p.fail("a brace is not closed")
		}
		return n
	}
	t, ok := p.peek()
	if ok && t.number && len(t.text) > 1 && digit(t.text[0]) {
		p.tokens = slices.Clone(p.tokens)
		p.tokens[p.at].text = t.text[1:]
		return integer(t.text[:1])
	}
	if p.take("-", false) {
		return node{kind: kindNegative, args: []node{p.atom()}}
	}
	return p.atom()
}

func integer(text string) node {
	v, _ := new(big.Rat).SetString(text)
	return node{kind: kindNumber, value: v}
}
