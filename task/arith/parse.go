package arith

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// The bounds of an expression in text. They are far beyond any puzzle and keep reading cheap and the stack shallow.
const (
	// MaxLength is in bytes.
	MaxLength = 512
	// MaxDepth is how deep parentheses may nest.
	MaxDepth = 32
	// MaxNumbers is how many numbers an expression may hold.
	MaxNumbers = 32
)

var errEmpty = fmt.Errorf("empty expression: %w", hone.ErrInvalid)

// Parse reads an expression: unsigned integers without leading zeros, + - * / with the usual precedence (* and / bind tighter,
// equals associate to the left), parentheses, spaces anywhere between. Signs, exponents (^ and **), floor division (//),
// decimal points, functions and two numbers in a row are refused with [hone.ErrInvalid], naming what was found and where.
//
//	sum     = product { ("+" | "-") product } .
//	product = operand { ("*" | "/") operand } .
//	operand = integer | "(" sum ")" .
func Parse(text string) (Expr, error) {
	if len(text) > MaxLength {
		return Expr{}, fmt.Errorf("expression of %d bytes: want at most %d: %w", len(text), MaxLength, hone.ErrInvalid)
	}
	p := parser{text: text, items: make([]item, 0, 12)}
	p.skipSpaces()
	if p.at == len(p.text) {
		return Expr{}, errEmpty
	}
	if err := p.sum(0); err != nil {
		return Expr{}, err
	}
	if p.at < len(p.text) {
		return Expr{}, p.fault("want an operator or the end")
	}
	return Expr{items: p.items}, nil
}

// parser reads text from at on; every method leaves at on the next byte that is no space.
type parser struct {
	text    string
	at      int
	numbers int
	items   []item
}

func (p *parser) sum(depth int) error {
	if err := p.product(depth); err != nil {
		return err
	}
	for p.next('+') || p.next('-') {
		op := p.operator()
		if err := p.product(depth); err != nil {
			return err
		}
		p.items = append(p.items, item{op: op})
	}
	return nil
}

func (p *parser) product(depth int) error {
	if err := p.operand(depth); err != nil {
		return err
	}
	for p.next('*') || p.next('/') {
		op := p.operator()
		if err := p.operand(depth); err != nil {
			return err
		}
		p.items = append(p.items, item{op: op})
	}
	return nil
}

func (p *parser) operand(depth int) error {
	if p.next('(') {
		if depth == MaxDepth {
			return p.fault(fmt.Sprintf("parentheses nest deeper than %d", MaxDepth))
		}
		p.at++
		p.skipSpaces()
		if err := p.sum(depth + 1); err != nil {
			return err
		}
		if !p.next(')') {
			return p.fault(`want an operator or ")"`)
		}
		p.at++
		p.skipSpaces()
		return nil
	}
	n, rest, ok := cutDigits(p.text[p.at:])
	if !ok {
		return p.fault(`want an unsigned integer without leading zeros, or "("`)
	}
	if p.numbers++; p.numbers > MaxNumbers {
		return p.fault(fmt.Sprintf("more than %d numbers", MaxNumbers))
	}
	p.items = append(p.items, item{number: Number{num: n}})
	p.at = len(p.text) - len(rest)
	p.skipSpaces()
	return nil
}

// operator takes the operator that next has seen.
func (p *parser) operator() Op {
	op := Op(p.text[p.at])
	p.at++
	p.skipSpaces()
	return op
}

func (p *parser) next(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *parser) skipSpaces() {
	for p.next(' ') {
		p.at++
	}
}

// fault is an error at the parser's place.
func (p *parser) fault(want string) error {
	if p.at >= len(p.text) {
		return fmt.Errorf("expression ends too early: %s: %w", want, hone.ErrInvalid)
	}
	return fmt.Errorf("expression at byte %d, %s: %s: %w", p.at, quote(p.text[p.at:]), want, hone.ErrInvalid)
}
