package arith

// Expr is an expression over numbers: operands first, then their operator (postfix), so that reading it needs no pointers.
//
//	(5 * (10 - 4)) - 6   is   5 10 4 - * 6 -
//
// An Expr is immutable. The zero Expr is empty: it has no value and prints as nothing.
type Expr struct {
	items []item
}

// item is an operator, or a number where op is 0.
type item struct {
	number Number
	op     Op
}

// Leaf is the expression that is one number.
func Leaf(n Number) Expr { return Expr{items: []item{{number: n}}} }

// Combine is (a op b).
func Combine(a Expr, op Op, b Expr) Expr {
	items := make([]item, 0, len(a.items)+len(b.items)+1)
	items = append(items, a.items...)
	items = append(items, b.items...)
	return Expr{items: append(items, item{op: op})}
}

// Value is the expression's exact value, or [ErrZeroDivisor] or [ErrOverflow].
func (e Expr) Value() (Number, error) {
	var space [MaxNumbers]Number
	stack := space[:0]
	for _, it := range e.items {
		if it.op == 0 {
			stack = append(stack, it.number)
			continue
		}
		top := len(stack) - 1
		n, err := it.op.Apply(stack[top-1], stack[top])
		if err != nil {
			return Number{}, err
		}
		stack = append(stack[:top-1], n)
	}
	if len(stack) == 0 {
		return Number{}, errEmpty
	}
	return stack[0], nil
}

// AppendNumbers appends the expression's numbers to dst, left to right.
func (e Expr) AppendNumbers(dst []Number) []Number {
	for _, it := range e.items {
		if it.op == 0 {
			dst = append(dst, it.number)
		}
	}
	return dst
}

// String is the canonical form: one space around operators, parentheses around every operand that is compound, none around the
// whole: "(5 * (10 - 4)) - 6".
func (e Expr) String() string {
	if len(e.items) == 0 {
		return ""
	}
	return string(e.append(make([]byte, 0, 8*len(e.items)), len(e.items)-1, true))
}

// Key is equal for two expressions that differ only in the order of the operands of + and *.
func (e Expr) Key() string {
	var stack []string
	for _, it := range e.items {
		if it.op == 0 {
			stack = append(stack, it.number.String())
			continue
		}
		top := len(stack) - 1
		a, b := stack[top-1], stack[top]
		if it.op.Commutes() && b < a {
			a, b = b, a
		}
		stack = append(stack[:top-1], "("+a+it.op.String()+b+")")
	}
	if len(stack) == 0 {
		return ""
	}
	return stack[0]
}

// append writes the sub-expression that ends at items[end].
func (e Expr) append(dst []byte, end int, outermost bool) []byte {
	it := e.items[end]
	if it.op == 0 {
		return it.number.Append(dst)
	}
	if !outermost {
		dst = append(dst, '(')
	}
	dst = e.append(dst, e.before(end-1), false)
	dst = append(dst, ' ', byte(it.op), ' ')
	dst = e.append(dst, end-1, false)
	if !outermost {
		dst = append(dst, ')')
	}
	return dst
}

// before is the index of the item that ends the operand to the left of the sub-expression that ends at items[end].
func (e Expr) before(end int) int {
	for operands := 1; operands > 0; end-- {
		if e.items[end].op == 0 {
			operands--
		} else {
			operands++
		}
	}
	return end
}
