package codetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/codetest/sandbox"
	"github.com/hone-rl/hone/task"
)

// count is how many tests of each kind a program passed, and what became of the first that it didn't.
type count struct {
	visible, ofVisible, hidden, ofHidden int
	// fault is what went wrong first, "" if nothing did; waited tells that it was time.
	fault  string
	waited bool
}

// count goes through the tests; those without a result were not run, since one before them ended at a limit of time.
func (l *Layer) count(tests []task.Test, results []sandbox.Result, token string) (c count) {
	for i, t := range tests {
		fault, waited := "was not run", false
		if i < len(results) {
			fault, waited = l.fault(t, results[i], token)
		}
		passed := 0
		if fault == "" {
			passed = 1
		} else if c.fault == "" {
			c.fault, c.waited = fmt.Sprintf("test %d %s", i+1, fault), waited
		}
		if t.Visible {
			c.visible += passed
			c.ofVisible++
		} else {
			c.hidden += passed
			c.ofHidden++
		}
	}
	return c
}

// fault says what a test found wrong; "" where it was passed.
func (l *Layer) fault(t task.Test, r sandbox.Result, token string) (fault string, waited bool) {
	switch r.End {
	case sandbox.OutOfCPU:
		return fmt.Sprintf("runs longer than %d s of processor time", l.cfg.CPU), false
	case sandbox.OutOfTime:
		return fmt.Sprintf("does not end within %d s", l.cfg.Wall), true
	case sandbox.OutOfOutput:
		return fmt.Sprintf("prints more than %d KiB", l.cfg.Output), false
	case sandbox.Exited:
	}
	if r.Code != 0 {
		complaint := r.Stderr
		if i := bytes.LastIndexByte(bytes.TrimSpace(complaint), '\n'); i >= 0 {
			complaint = complaint[i+1:]
		}
		fault := fmt.Sprintf("ends with status %d", r.Code)
		if text := shown(bytes.TrimSpace(complaint)); text != "" {
			fault += ": " + text
		}
		return fault, false
	}
	if t.Assert != "" {
		if !bytes.HasSuffix(r.Stdout, []byte("\n"+token+"\n")) {
			return "ends before its assertions do", false
		}
		return "", false
	}
	if got, want := lines(r.Stdout), lines([]byte(t.Stdout)); !bytes.Equal(got, want) {
		return fmt.Sprintf("prints %q, want %q", shown(got), shown(want)), false
	}
	return "", false
}

// verdict puts the count into words.
func (c count) verdict() task.Verdict {
	passed, all := c.visible+c.hidden, c.ofVisible+c.ofHidden
	switch {
	case passed == all && c.hidden == 0:
		return task.Verdict{Outcome: hone.OutcomeRight, Reason: fmt.Sprintf("passes all %d tests, of which none is hidden", all)}
	case passed == all:
		return task.Verdict{Outcome: hone.OutcomeRight, Reason: fmt.Sprintf("passes all %d tests", all)}
	case c.waited:
		return task.Verdict{Outcome: hone.OutcomeTimeout, Reason: c.fault}
	case c.ofVisible > 0 && c.visible == c.ofVisible && c.hidden == 0:
		return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf(
			"passes the %d visible tests and none of %d hidden ones, as if it had the answers by heart; %s", c.visible, c.ofHidden, c.fault)}
	}
	return task.Verdict{Outcome: hone.OutcomeWrong, Reason: fmt.Sprintf("passes %d of %d tests; %s", passed, all, c.fault)}
}

// lines is text without spaces at the ends of lines and without lines at the end.
func lines(text []byte) []byte {
	out := bytes.Split(text, []byte("\n"))
	for i := range out {
		out[i] = bytes.TrimRight(out[i], " \t\r")
	}
	return bytes.TrimRight(bytes.Join(out, []byte("\n")), "\n")
}

// shown is text that may be long, or no text.
func shown(text []byte) string {
	const most = 80
	more := ""
	if len(text) > most {
		text, more = text[:most], "..."
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(text), "?"), "\x00", "?") + more // which text in Postgres can't hold
}
