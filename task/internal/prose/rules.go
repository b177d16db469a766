package prose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
)

// maxRead is how many bytes of a completion are judged, a megabyte; what is longer is not read and its lines are out of place.
const maxRead = 1 << 20

// Grader is what is particular to a task in words. Its functions are pure, and return in time bounded by the length of their
// arguments.
type Grader interface {
	// Reference brings a reference answer into canonical form; [hone.ErrInvalid] for text that is no answer of this task.
	Reference(text string) (string, error)
	// Find looks for an answer in a line, and returns its text. Firm tells that the line gives the answer in the task's own form;
	// the last of answers that are not firm counts where none is.
	Find(line string) (answer string, firm, found bool)
	// Grade compares an answer that Find returned with the canonical reference.
	Grade(reference, answer string) task.Verdict
}

// Rules are the methods of [task.Task] for questions with a reference answer, which are posed one by one. A task that has problems of
// its own has its own Problems.
type Rules struct {
	name string
	need int
	g    Grader
}

// NewRules are the rules of the task of that name. Need is the number of steps that its problems take, the answer included.
func NewRules(name string, need int, g Grader) *Rules { return &Rules{name: name, need: need, g: g} }

// Name is the task's name.
func (r *Rules) Name() string { return r.name }

// Pose is the problem of a question with its reference answer.
func (r *Rules) Pose(question, reference string) (hone.Problem, error) {
	canonical, err := r.g.Reference(reference)
	if err != nil {
		return hone.Problem{}, fmt.Errorf("reference of a %s problem: %w", r.name, err)
	}
	question = strings.TrimSpace(question)
	return hone.Problem{Task: r.name, Key: canonical + "\n" + question, Prompt: question + "\n"}, nil
}

// Problems is [hone.ErrNotFound] for every split.
func (r *Rules) Problems(split hone.Split) ([]hone.Problem, error) {
	return nil, fmt.Errorf("split %q of %s: its problems are posed: %w", split, r.name, hone.ErrNotFound)
}

// Problem rebuilds a problem from its key: the reference answer on the first line, and the question.
func (r *Rules) Problem(key string) (hone.Problem, error) {
	reference, question, _ := strings.Cut(key, "\n")
	return r.Pose(question, reference)
}

// split is a problem's question and canonical reference.
func (r *Rules) split(p hone.Problem) (question, reference string, ok bool) {
	if p.Task != r.name {
		return "", "", false
	}
	reference, question, ok = strings.Cut(p.Key, "\n")
	return question, reference, ok
}

// Need is the number of steps that the task's problems take, as it was given.
func (r *Rules) Need(p hone.Problem) int {
	if _, _, ok := r.split(p); !ok {
		return 0
	}
	return r.need
}

// Steps are the completion's lines.
func (*Rules) Steps(completion string) []string {
	if completion == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(completion, "\n"), "\n")
}

// Verify judges the answer: the first in the task's own form, else the last that can be told. Without one the outcome is
// [hone.OutcomeUnparsable].
func (r *Rules) Verify(p hone.Problem, completion string) task.Verdict {
	_, reference, ok := r.split(p)
	if !ok {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "the problem is not of task " + r.name}
	}
	answer, _, found := r.answer(r.Steps(completion))
	if !found {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: "there is no answer"}
	}
	return r.g.Grade(reference, answer)
}

// answer is the answer that counts and the index of its line.
func (r *Rules) answer(lines []string) (answer string, at int, found bool) {
	read := 0
	for i, line := range lines {
		if read += len(line) + 1; read > maxRead {
			break
		}
		text, firm, ok := r.g.Find(line)
		if !ok {
			continue
		}
		answer, at, found = text, i, true
		if firm {
			break
		}
	}
	return answer, at, found
}

// State is a digest of the good steps.
func (r *Rules) State(p hone.Problem, completion string) (state string, terminal bool) {
	state = first
	for _, c := range r.Check(p, completion) {
		state = c.State
		terminal = terminal || c.Kind == task.StepAnswer
	}
	return state, terminal
}

// first is the state before the first step.
const first = "start"

// Check judges each line.
func (r *Rules) Check(p hone.Problem, completion string) []task.StepCheck {
	lines := r.Steps(completion)
	checks := make([]task.StepCheck, len(lines))
	question, _, ok := r.split(p)
	answer, at, found := r.answer(lines)
	if !found {
		at = len(lines)
	}
	c := newChecker(question, answer)
	state, read := first, 0
	for i, line := range lines {
		read += len(line) + 1
		switch {
		case !ok:
			checks[i] = task.StepCheck{Kind: task.StepOther, Reason: "the problem is not of task " + r.name}
		case read > maxRead:
			checks[i] = task.StepCheck{Kind: task.StepOther, Reason: fmt.Sprintf("more than %d bytes", maxRead)}
		case i > at:
			checks[i] = task.StepCheck{Kind: task.StepOther, Reason: "comes after the answer"}
		default:
			checks[i] = c.line(i, line, i == at)
		}
		if checks[i].Good() {
			state = digest(state, line)
		}
		checks[i].State = state
	}
	return checks
}

func digest(state, line string) string {
	sum := sha256.Sum256([]byte(state + "\n" + line))
	return hex.EncodeToString(sum[:8])
}

// checker carries what is known from line to line.
type checker struct {
	question string
	answer   string
	known    *known
	// lines and claims are those of good steps, by their normal form; the value is the index of the step.
	lines, claims map[string]int
	// results are the values that good steps computed from what is known, chain what they computed from assumptions.
	results map[arith.Number]bool
	chain   *chain
	worked  bool
}

func newChecker(question, answer string) *checker {
	return &checker{
		question: normal(question), answer: answer, known: newKnown(question),
		lines: make(map[string]int), claims: make(map[string]int), results: make(map[arith.Number]bool),
		chain: newChain(question),
	}
}

// line judges one line; answers tells that it holds the answer.
func (c *checker) line(i int, text string, answers bool) task.StepCheck {
	out := task.StepCheck{Kind: task.StepOther}
	claims, err := claimsOf(text)
	assumption := !answers && assumes(text)
	switch {
	case answers:
		out.Kind = task.StepAnswer
	case assumption:
		out.Kind = task.StepAssumption
	case len(claims) > 0 || err != nil:
		out.Kind = task.StepOperation
	}
	if err != nil {
		out.Reason = plain(err)
		return out
	}
	if r := strings.IndexFunc(text, foreignDigit); r >= 0 {
		out.Reason = "has digits other than 0 to 9"
		return out
	}
	out.Parsed = true
	for _, claim := range claims {
		if ok, why := claim.Holds(); !ok {
			out.Reason = why
			return out
		}
	}
	out.True = true
	if assumption {
		c.chain.assume(i, text, claims, c.known)
	}
	if out.Reason = c.illegal(text, claims, answers); out.Reason != "" {
		return out
	}
	out.Legal = true
	out.Reason = "states no arithmetic"
	if len(claims) > 0 {
		out.Reason = clip(claims[0].Text) + " is true"
		if len(claims) > 1 {
			out.Reason = fmt.Sprintf("%d equations are true", len(claims))
		}
	}
	if assumption {
		out.Reason = strings.TrimPrefix(out.Reason+"; an assumption", "states no arithmetic; ")
	}
	c.lines[normal(text)] = i
	for _, claim := range claims {
		c.claims[claim.Text] = i
		if beneath := c.chain.beneath(claim, c.known); len(beneath) > 0 {
			out.Reason += ", under " + under(beneath)
			if c.chain.derive(claim, beneath, c.results) {
				out.Reason += ", which holds, since " + claim.Right.String() + " is known without it"
			}
			continue
		}
		c.results[claim.Right] = true
		c.known.put(claim.Right)
		if claim.percent {
			c.results[claim.scaled] = true
			c.known.put(claim.scaled)
		}
	}
	c.worked = c.worked || len(claims) > 0 || !answers
	return out
}

// claimsOf are the annotations of a line and the equations of its prose, each once.
func claimsOf(text string) ([]Claim, error) {
	bare, inside, err := Annotations(text)
	if err != nil {
		return nil, err
	}
	var out []Claim
	seen := make(map[string]bool)
	for _, body := range inside {
		claim, err := ParseClaim(body)
		if err != nil {
			return nil, err
		}
		seen[claim.Text] = true
		out = append(out, claim)
	}
	for _, claim := range Claims(bare) {
		if !seen[claim.Text] {
			seen[claim.Text] = true
			out = append(out, claim)
		}
	}
	return out, nil
}

// illegal says why a line that is read and true is out of place; "" if it isn't.
func (c *checker) illegal(text string, claims []Claim, answers bool) string {
	line := normal(text)
	if line == "" {
		return "says nothing"
	}
	if at, again := c.lines[line]; again {
		return fmt.Sprintf("repeats step %d", at+1)
	}
	const short = 24 // a few words of the question are no copy
	if len(line) >= short && strings.Contains(c.question, line) {
		return "copies the question"
	}
	for _, claim := range claims {
		for _, n := range claim.Operands {
			if _, assumed := c.chain.open(n); !c.known.has(n) && !assumed && !ownResult(claims, n) {
				return fmt.Sprintf("uses %s, which is neither in the question nor a result", n)
			}
		}
	}
	if len(claims) > 0 {
		fresh := false
		for _, claim := range claims {
			_, again := c.claims[claim.Text]
			fresh = fresh || !again && !claim.useless(c.results)
		}
		if !fresh {
			return clip(claims[0].Text) + " computes nothing new"
		}
	}
	if answers && len(claims) == 0 {
		return c.unsupported()
	}
	return ""
}

// unsupported says why the answer does not follow from the steps; "" if it does.
func (c *checker) unsupported() string {
	if !c.worked {
		return "an answer without work"
	}
	q, rest, ok := CutQuantity(strings.TrimSpace(c.answer))
	if !ok || strings.TrimSpace(rest) != "" {
		return ""
	}
	if open, assumed := c.chain.open(q.Value); assumed && !c.results[q.Value] {
		if len(open) > 0 {
			return fmt.Sprintf("%s rests on %s, which no step confirms", q.Value, under(open))
		}
		return ""
	}
	if len(c.results) == 0 {
		return ""
	}
	if c.results[q.Value] || c.results[q.hundredth()] || c.results[q.Value.Neg()] {
		return ""
	}
	return fmt.Sprintf("no step comes to %s", q.Value)
}

// ownResult tells whether n is the result of one of the claims of the same line.
func ownResult(claims []Claim, n arith.Number) bool {
	for _, c := range claims {
		if c.Right == n {
			return true
		}
	}
	return false
}

// foreignDigit tells of digits that look like those of ASCII and are others. Vulgar fractions and superscripts are no digits.
func foreignDigit(r rune) bool { return r > unicode.MaxASCII && unicode.IsDigit(r) }

// normal is text in lower case with single spaces.
func normal(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }
