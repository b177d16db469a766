package arith

// Op is one of the four operators, as written.
type Op byte

// The operators.
const (
	Plus  Op = '+'
	Minus Op = '-'
	Times Op = '*'
	Over  Op = '/'
)

// OpOf is the operator that the byte writes.
func OpOf(c byte) (op Op, ok bool) {
	switch Op(c) {
	case Plus, Minus, Times, Over:
		return Op(c), true
	}
	return 0, false
}

// String is the operator as written.
func (op Op) String() string { return string(rune(op)) }

// Commutes tells whether the operands may change places.
func (op Op) Commutes() bool { return op == Plus || op == Times }

// Apply is a op b. It returns [ErrZeroDivisor] or [ErrOverflow], and panics on a byte that is no operator.
func (op Op) Apply(a, b Number) (Number, error) {
	switch op {
	case Plus:
		return a.Add(b)
	case Minus:
		return a.Sub(b)
	case Times:
		return a.Mul(b)
	case Over:
		return a.Div(b)
	}
	panic("arith: no such operator: " + op.String())
}
