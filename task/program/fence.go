package program

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// block is a fenced block: the indices of its fences.
type block struct{ open, end int }

// fence is the marks that begin a fenced block in Markdown, three or more of ` or ~; "" for a line that begins none.
func fence(line string) string {
	line = strings.TrimSpace(line)
	for _, mark := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, mark)); n >= 3 {
			if mark == "`" && strings.Contains(line[n:], mark) {
				return "" // code within a line
			}
			return line[:n]
		}
	}
	return ""
}

// last is the last block that is closed. A block ends at a line of its mark alone, as long as that or longer.
func last(lines []string) (b block, ok bool) {
	open, mark := -1, ""
	for i, line := range lines {
		switch found := fence(line); {
		case found == "":
		case open < 0:
			open, mark = i, found
		case strings.HasPrefix(found, mark) && strings.TrimSpace(line) == found:
			b, ok, open = block{open, i}, true, -1
		}
	}
	return b, ok
}

// Program is the text of the last fenced block that is closed. An empty one is none.
func (t *Task) Program(completion string) (text string, ok bool) {
	if len(completion) > maxBytes {
		return "", false
	}
	lines := t.Steps(completion)
	b, ok := last(lines)
	if !ok {
		return "", false
	}
	text = strings.Join(lines[b.open+1:b.end], "\n") + "\n"
	return text, strings.TrimSpace(text) != ""
}

// first is the state before the first step.
const first = "start"

// Check finds where the program is: its last line, the closing fence, is the answer, and what follows comes after it. What lines say is
// not judged.
func (t *Task) Check(p hone.Problem, completion string) []task.StepCheck {
	lines := t.Steps(completion)
	checks := make([]task.StepCheck, len(lines))
	_, err := t.Tests(p)
	_, found := t.Program(completion)
	b, _ := last(lines)
	state := first
	for i, line := range lines {
		c := task.StepCheck{Kind: task.StepOther}
		switch {
		case err != nil:
			c.Reason = "the problem is not of task " + Name
		case len(completion) > maxBytes:
			c.Reason = fmt.Sprintf("more than %d bytes", maxBytes)
		case found && i > b.end:
			c.Reason = "comes after the answer"
		default:
			c.Parsed, c.True, c.Legal, c.Reason = true, true, true, "not judged by itself"
			switch {
			case found && i == b.end:
				c.Kind, c.Reason = task.StepAnswer, "ends the program"
			case found && i >= b.open:
				c.Kind, c.Reason = task.StepOperation, "a line of the program"
			}
			sum := sha256.Sum256([]byte(state + "\n" + line))
			state = hex.EncodeToString(sum[:8])
		}
		c.State = state
		checks[i] = c
	}
	return checks
}
