package prose

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/arith"
)

// The bounds of one claim; they keep reading linear in the length of a line.
const (
	maxExpression = 256
	maxDepth      = 16
)

// Claim is an equation that a line states: "48/2=24".
type Claim struct {
	// Text is the claim as written, spaces dropped.
	Text string
	// Left is the exact value of the computed side, Right that of the stated one.
	Left, Right arith.Number
	// Operands are the numbers of the computed side, as written.
	Operands []arith.Number
	// percent tells that a side writes a percentage, which may mean the number before the sign.
	percent bool
	scaled  arith.Number
	// idle tells of an operation that changes nothing: plus or minus 0, times or over 1.
	idle bool
	// fault says why a side has no value; "" if both have one.
	fault string
}

// Holds tells whether the two sides are one number, exactly, and otherwise why not.
func (c Claim) Holds() (bool, string) {
	switch {
	case c.fault != "":
		return false, fmt.Sprintf("%s: %s", clip(c.Text), c.fault)
	case c.Left == c.Right, c.percent && c.Left == c.scaled:
		return true, ""
	}
	left, _, _ := strings.Cut(c.Text, "=")
	return false, fmt.Sprintf("%s is %s, not %s", clip(left), c.Left, c.Right)
}

// useless tells that the claim computes nothing: it has no operation, or one that changes nothing in a number that was computed
// before. (One dollar for each of four cups is work.)
func (c Claim) useless(computed map[arith.Number]bool) bool {
	return len(c.Operands) == 1 || c.idle && computed[c.Left]
}

// Annotations splits a line into its prose and the text between each << and >>. An opening mark without its closing one is
// [hone.ErrInvalid].
func Annotations(line string) (plain string, inside []string, err error) {
	var kept strings.Builder
	rest := line
	for {
		before, after, found := strings.Cut(rest, "<<")
		kept.WriteString(before)
		if !found {
			return kept.String(), inside, nil
		}
		body, tail, closed := strings.Cut(after, ">>")
		if !closed {
			return line, nil, fmt.Errorf("annotation %q has no end, want <<48/2=24>>: %w", clip(after), hone.ErrInvalid)
		}
		inside = append(inside, body)
		rest = tail
	}
}

// ParseClaim reads an annotation: an expression, "=" and its value.
func ParseClaim(text string) (Claim, error) {
	left, right, found := strings.Cut(text, "=")
	if !found || len(text) > maxExpression {
		return Claim{}, fmt.Errorf("annotation %q: want an expression, = and its value, such as 48/2=24: %w", clip(text), hone.ErrInvalid)
	}
	c, ok := newClaim(left, right)
	if !ok {
		return c, fmt.Errorf("annotation %q: want numbers, + - * / and parentheses on both sides of one =: %w", clip(text), hone.ErrInvalid)
	}
	return c, nil
}

// newClaim reads both sides whole.
func newClaim(left, right string) (Claim, bool) {
	c := Claim{Text: strings.Join(strings.Fields(left+"="+right), "")}
	l := reader{text: left}
	r := reader{text: right}
	lv, rv := l.whole(), r.whole()
	if !l.ok() || !r.ok() || len(r.operands) > 2 {
		return c, false
	}
	c.Left, c.Right, c.Operands, c.scaled = lv, rv, l.operands, rv
	if r.percent && len(r.operands) == 1 {
		c.percent, c.scaled = true, r.operands[0]
	}
	if n := len(l.operands); n == 2 {
		zero, one := arith.Number{}, arith.Int(1)
		last := l.operands[1]
		c.idle = l.last == arith.Plus && (last == zero || l.operands[0] == zero) || l.last == arith.Minus && last == zero ||
			l.last == arith.Times && (last == one || l.operands[0] == one) || l.last == arith.Over && last == one
	}
	if l.fault != nil {
		c.fault = plain(l.fault)
	} else if r.fault != nil {
		c.fault = plain(r.fault)
	}
	return c, true
}

// plain is an arithmetic fault without the sentinel's name.
func plain(err error) string { return strings.TrimSuffix(err.Error(), ": "+hone.ErrInvalid.Error()) }

// Claims finds the equations in a line of prose without annotations: at each "=" the expression that ends there, with at least one
// operation, and the number that follows. What can't be told from words ("5 apples * 2 = 10") is no claim.
func Claims(line string) []Claim {
	var out []Claim
	for i := range len(line) {
		if line[i] != '=' || i > 0 && strings.IndexByte("=<>!:", line[i-1]) >= 0 || i+1 < len(line) && line[i+1] == '=' {
			continue
		}
		left, ok := expressionBefore(line[:i])
		if !ok {
			continue
		}
		right, ok := valueAfter(line[i+1:])
		if !ok {
			continue
		}
		if c, ok := newClaim(left, right); ok && len(c.Operands) > 1 {
			out = append(out, c)
		}
	}
	return out
}

// expressionBefore is the longest expression at the end of s.
func expressionBefore(s string) (string, bool) {
	s = strings.TrimRight(s, " ")
	from := len(s)
	for from > 0 && len(s)-from < maxExpression && arithmetic(s, from-1) {
		from--
	}
	if from > 0 && isLetter(s[from-1]) && from < len(s) && s[from] != ' ' {
		return "", false // the tail of a word or of "2x"
	}
	if strings.HasSuffix(s[:from], "and") {
		return "", false // "12 x 1 and 1/4"
	}
	tail := strings.Trim(s[from:], " ")
	if _, _, operator := splitOperator(tail); operator && from > 0 {
		return "", false // its first operand was words
	}
	for tries := 0; tail != "" && tries < 8; tries++ {
		r := reader{text: tail}
		if r.whole(); r.ok() {
			return tail, true
		}
		if strings.IndexByte("+-*/x", tail[0]) >= 0 || tail[0] > 127 {
			return "", false // what stands before the operator was words
		}
		_, rest, found := strings.Cut(tail, " ")
		if !found {
			return "", false
		}
		tail = strings.TrimLeft(rest, " ")
	}
	return "", false
}

// valueAfter is the number at the front of s, if no operator follows it.
func valueAfter(s string) (string, bool) {
	s = strings.TrimLeft(s, " ")
	_, rest, ok := CutQuantity(s)
	if !ok {
		return "", false
	}
	value := s[:len(s)-len(rest)]
	rest = strings.TrimLeft(rest, " ")
	if _, after, more := splitOperator(rest); more {
		after, _ = cutAny(strings.TrimLeft(after, " "), currencies)
		if after, _ = strings.CutPrefix(after, "("); after != "" && (isDigit(after[0]) || after[0] == '.') {
			return "", false // the other side is an expression too
		}
	}
	return value, true
}

// arithmetic tells whether the byte at i may be part of an expression.
func arithmetic(s string, i int) bool {
	c := s[i]
	if isDigit(c) || strings.IndexByte(" .,$%()+-*/", c) >= 0 || c > 127 {
		return true
	}
	return c == 'x' && (i == 0 || !isLetter(s[i-1])) && (i+1 == len(s) || !isLetter(s[i+1]))
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// splitOperator reads an operator off the front of s. An x multiplies where a number or a parenthesis follows: "3x - 5" is algebra.
func splitOperator(s string) (op arith.Op, rest string, ok bool) {
	for _, spelled := range []struct {
		text string
		op   arith.Op
	}{
		{"//", arith.Over},
		{"**", 0},
		{"+", arith.Plus},
		{"-", arith.Minus},
		{"−", arith.Minus},
		{"–", arith.Minus},
		{"*", arith.Times},
		{"×", arith.Times},
		{"x", arith.Times},
		{"/", arith.Over},
		{"÷", arith.Over},
	} {
		if rest, found := strings.CutPrefix(s, spelled.text); found {
			if spelled.text == "x" {
				after, _ := cutAny(strings.TrimLeft(rest, " "), currencies)
				if after == "" || !isDigit(after[0]) && after[0] != '.' && after[0] != '(' {
					return 0, s, false
				}
			}
			return spelled.op, rest, spelled.op != 0
		}
	}
	return 0, s, false
}

// clip shows text that may be long.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
