package prose

import (
	"strings"

	"github.com/hone-rl/hone/task/arith"
)

// reader computes an expression while it reads it:
//
//	sum     = [ "+" ] product { ("+" | "-") product } .
//	product = operand { ("*" | "/") operand } .
//	operand = [ "-" ] quantity | [ "-" ] "(" sum ")" .
//
// Unlike package arith, which reads what a policy must write in one form, it takes prose's own spellings of numbers and operators.
// Floor division (//) is division, which must come out even to be true.
type reader struct {
	text     string
	depth    int
	operands []arith.Number
	percent  bool
	last     arith.Op
	// bad is set where the text is no expression, fault where it is one without a value.
	bad   bool
	fault error
}

func (r *reader) ok() bool { return !r.bad && len(r.operands) > 0 }

// whole reads all of the text.
func (r *reader) whole() arith.Number {
	n := r.sum()
	r.skip()
	if r.text != "" {
		r.bad = true
	}
	return n
}

func (r *reader) skip() { r.text = strings.TrimLeft(r.text, " ") }

func (r *reader) sum() arith.Number {
	r.skip()
	r.text = strings.TrimPrefix(r.text, "+")
	total := r.product()
	for !r.bad {
		r.skip()
		op, rest, ok := splitOperator(r.text)
		if !ok || op != arith.Plus && op != arith.Minus {
			return total
		}
		r.text = rest
		total = r.apply(op, total, r.product())
	}
	return total
}

func (r *reader) product() arith.Number {
	total := r.operand()
	for !r.bad {
		r.skip()
		op, rest, ok := splitOperator(r.text)
		if !ok || op != arith.Times && op != arith.Over {
			return total
		}
		r.text = rest
		total = r.apply(op, total, r.operand())
	}
	return total
}

func (r *reader) apply(op arith.Op, a, b arith.Number) arith.Number {
	r.last = op
	n, err := op.Apply(a, b)
	if err != nil && r.fault == nil {
		r.fault = err
	}
	return n
}

func (r *reader) operand() arith.Number {
	r.skip()
	if q, rest, ok := cutSigned(r.text, cutDecimal); ok {
		r.text = rest
		r.operands = append(r.operands, q.Value)
		if q.Percent {
			r.percent = true
			return q.hundredth()
		}
		return q.Value
	}
	tail, negative := cutAny(r.text, minus)
	tail, _ = cutAny(tail, currencies)
	tail, open := strings.CutPrefix(tail, "(")
	if !open || r.depth == maxDepth {
		r.bad = true
		return arith.Number{}
	}
	r.text, r.depth = tail, r.depth+1
	n := r.sum()
	r.skip()
	rest, closed := strings.CutPrefix(r.text, ")")
	r.text, r.depth = rest, r.depth-1
	r.bad = r.bad || !closed
	if negative {
		n = n.Neg()
	}
	return n
}
