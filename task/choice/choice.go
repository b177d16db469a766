// Package choice is questions with lettered answers: the reference is one letter from A to J, and the completion names its choice
// after "####", "answer is", "answer:" or in \boxed{}.
package choice

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/internal/prose"
)

// Name is the task's name.
const Name = "choice"

// need is a thought and a choice.
const need = 2

type rules = prose.Rules

// Task is questions with lettered answers. It is a [task.Task] and a [task.Poser], safe for concurrent use.
type Task struct{ *rules }

var (
	_ task.Task  = (*Task)(nil)
	_ task.Poser = (*Task)(nil)
)

// New is the task. It has no problems of its own: they are posed.
func New() *Task { return &Task{rules: prose.NewRules(Name, need, grader{})} }

// grader compares letters.
type grader struct{}

// Reference is the letter in upper case.
func (grader) Reference(text string) (string, error) {
	letter, ok := only(text)
	if !ok {
		return "", fmt.Errorf("%q: want one letter from A to J: %w", text, hone.ErrInvalid)
	}
	return string(letter), nil
}

// Find takes what follows "####", which is firm, or \boxed, "answer is" or "answer:".
func (grader) Find(line string) (answer string, firm, found bool) {
	if _, after, ok := strings.Cut(line, "####"); ok {
		return strings.TrimSpace(after), true, true
	}
	answer, found = prose.AfterPhrase(line)
	return answer, false, found
}

// Grade compares the letters that the answer names. More than one is wrong, whichever they are.
func (grader) Grade(reference, answer string) task.Verdict {
	want, ok := only(reference)
	if !ok {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: fmt.Sprintf("the reference %q is no letter", reference)}
	}
	named := letters(answer)
	switch {
	case len(named) == 0:
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the answer names no letter from A to J"}
	case len(named) > 1:
		return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf("names %d choices, want one", len(named))}
	case named[0] != want:
		return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf("%c is not %c", named[0], want)}
	}
	return task.Verdict{Outcome: hone.OutcomeRight, Reason: fmt.Sprintf("%c is the reference", want)}
}

// only is the letter of a text that holds one letter and perhaps brackets around it.
func only(text string) (byte, bool) {
	text = strings.Trim(text, " ()[].:*{}$\t")
	if len(text) != 1 {
		return 0, false
	}
	return letter(text[0])
}

func letter(c byte) (byte, bool) {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c, c >= 'A' && c <= 'J'
}

// letters are the different letters that an answer names: all that stand alone in upper case or in brackets, without "A" and "I" as
// words within a sentence; or a single lower-case one that is all there is.
func letters(answer string) []byte {
	if c, ok := only(answer); ok {
		return []byte{c}
	}
	var out []byte
	seen := make(map[byte]bool)
	for i := range len(answer) {
		c, ok := letter(answer[i])
		if !ok || seen[c] || i > 0 && inWord(answer[i-1]) || i+1 < len(answer) && inWord(answer[i+1]) {
			continue
		}
		bracketed := i > 0 && i+1 < len(answer) && strings.IndexByte("([{", answer[i-1]) >= 0 && strings.IndexByte(")]}", answer[i+1]) >= 0
		if answer[i] != c && !bracketed { // lower case
			continue
		}
		article := (c == 'A' || c == 'I') && i > 0 && strings.HasPrefix(answer[i+1:], " ") && !bracketed
		if !article {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

// inWord tells whether a byte continues a word.
func inWord(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '\'' || c > 127
}
