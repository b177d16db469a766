package prose

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// marker begins the line of the answer.
const marker = "####"

// Numeric is the [Grader] of answers that are one number.
type Numeric struct{}

// Reference is the number in lowest terms, with its percent sign.
func (Numeric) Reference(text string) (string, error) {
	q, rest, ok := CutQuantity(strings.TrimSpace(text))
	if !ok || strings.TrimSpace(rest) != "" {
		return "", fmt.Errorf("%q: want a number such as 72, 1,080, -3/4 or 50%%: %w", text, hone.ErrInvalid)
	}
	canonical := q.Value.String()
	if q.Percent {
		canonical += "%"
	}
	return canonical, nil
}

// Find takes what follows "####", which is firm, or \boxed, "answer is" or "answer:".
func (Numeric) Find(line string) (answer string, firm, found bool) {
	if _, after, ok := strings.Cut(line, marker); ok {
		return strings.TrimSpace(after), true, true
	}
	if answer, ok := AfterPhrase(line); ok {
		return answer, false, true
	}
	return "", false, false
}

// Grade reads the number in the answer. Words and units around it are allowed, a second number is not: a choice of numbers is wrong.
func (Numeric) Grade(reference, answer string) task.Verdict {
	want, _, ok := CutQuantity(reference)
	if !ok {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: fmt.Sprintf("the reference %q is no number", reference)}
	}
	if strings.IndexFunc(answer, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsDigit(r) }) >= 0 {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the answer has digits other than 0 to 9"}
	}
	numbers, fault := Quantities(answer)
	switch {
	case fault != "":
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: fault}
	case len(numbers) == 0:
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the answer has no number"}
	}
	for _, n := range numbers[1:] {
		if n != numbers[0] {
			return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf("gives %d numbers, want one", len(numbers))}
		}
	}
	if !numbers[0].Equal(want) {
		return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf("%s is not %s", numbers[0], want)}
	}
	return task.Verdict{Outcome: hone.OutcomeRight, Reason: fmt.Sprintf("%s is the reference", numbers[0])}
}
