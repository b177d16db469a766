package numbers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
)

// The fixed parts of lines.
const (
	leftMark   = " (left: "
	backMark   = "back"
	answerMark = "Answer:"
)

// line is a step as read. Which fields count depends on the kind.
type line struct {
	kind task.StepKind
	// a op b = result, of an operation.
	a, b, result arith.Number
	op           arith.Op
	// left is the state named, of an operation or a return; ascending tells that it was written so.
	left      State
	ascending bool
	// expr = result, of an answer.
	expr arith.Expr
}

// kindOf says what a step tries to be, from how it begins.
func kindOf(text string) task.StepKind {
	switch {
	case strings.HasPrefix(text, answerMark):
		return task.StepAnswer
	case strings.HasPrefix(text, backMark):
		return task.StepBack
	case text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9'):
		return task.StepOperation
	}
	return task.StepOther
}

// parseLine reads a step. On an error, which is [hone.ErrInvalid], only the kind counts.
func parseLine(text string) (line, error) {
	l := line{kind: kindOf(text)}
	switch l.kind {
	case task.StepOperation:
		if !l.operation(text) {
			return l, fmt.Errorf(`want an operation such as "10 - 4 = 6 (left: 5 6 6)": %w`, hone.ErrInvalid)
		}
	case task.StepBack:
		if rest := strings.TrimPrefix(text, backMark); !l.leftList(rest) {
			return l, fmt.Errorf(`want a return such as "back (left: 4 5 6 10)": %w`, hone.ErrInvalid)
		}
	case task.StepAnswer:
		err := l.answer(strings.TrimPrefix(text, answerMark))
		return l, err
	default:
		return l, fmt.Errorf(`want an operation, a return "back (left: ...)" or an answer "Answer: ... = ...": %w`, hone.ErrInvalid)
	}
	return l, nil
}

// operation reads "a op b = result (left: ...)".
func (l *line) operation(text string) (ok bool) {
	var rest string
	if l.a, rest, ok = arith.CutNumber(text); !ok || len(rest) < 3 || rest[0] != ' ' || rest[2] != ' ' {
		return false
	}
	if l.op, ok = arith.OpOf(rest[1]); !ok {
		return false
	}
	if l.b, rest, ok = arith.CutNumber(rest[3:]); !ok {
		return false
	}
	if rest, ok = strings.CutPrefix(rest, " = "); !ok {
		return false
	}
	if l.result, rest, ok = arith.CutNumber(rest); !ok {
		return false
	}
	return l.leftList(rest)
}

// leftList reads " (left: 5 6 6)".
func (l *line) leftList(text string) bool {
	rest, ok := strings.CutPrefix(text, leftMark)
	for ok {
		var n arith.Number
		if n, rest, ok = arith.CutNumber(rest); !ok || l.left.count == Most {
			return false
		}
		l.left.values[l.left.count] = n
		l.left.count++
		if rest == ")" {
			l.ascending = slices.IsSortedFunc(l.left.Numbers(), arith.Number.Compare)
			slices.SortFunc(l.left.Numbers(), arith.Number.Compare)
			return true
		}
		rest, ok = strings.CutPrefix(rest, " ")
	}
	return false
}

// answer reads "expression = value".
func (l *line) answer(text string) error {
	equals := strings.LastIndexByte(text, '=')
	if equals < 0 {
		return fmt.Errorf(`want an answer such as "Answer: (5 * (10 - 4)) - 6 = 24": %w`, hone.ErrInvalid)
	}
	var err error
	if l.result, err = arith.ParseNumber(strings.Trim(text[equals+1:], " ")); err != nil {
		return fmt.Errorf("value of the answer: %w", err)
	}
	l.expr, err = arith.Parse(text[:equals])
	return err
}

// appendOperation writes the line of a move.
func appendOperation(dst []byte, m *move) []byte {
	dst = m.a.Append(dst)
	dst = append(dst, ' ', byte(m.op), ' ')
	dst = m.b.Append(dst)
	dst = append(dst, " = "...)
	dst = m.result.Append(dst)
	return appendLeft(dst, &m.next)
}

// appendBack writes the line that returns to s.
func appendBack(dst []byte, s *State) []byte { return appendLeft(append(dst, backMark...), s) }

func appendLeft(dst []byte, s *State) []byte {
	dst = append(dst, leftMark...)
	dst = s.append(dst)
	return append(dst, ")\n"...)
}

// appendAnswer writes the line that answers e, whose value is n.
func appendAnswer(dst []byte, e arith.Expr, n arith.Number) []byte {
	dst = append(dst, answerMark+" "...)
	dst = append(dst, e.String()...)
	dst = append(dst, " = "...)
	dst = n.Append(dst)
	return append(dst, '\n')
}
