package numbers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
)

// Game is one puzzle.
type Game struct {
	// Numbers are what is given.
	Numbers State
	// Target is what is to be made.
	Target arith.Number
	// Subset tells that numbers may stay unused; else each is used exactly once.
	Subset bool
}

// Prompt is "Use 4 5 6 10 to make 24.\n".
func (g *Game) Prompt() string { return fmt.Sprintf("Use %s to make %s.\n", g.Numbers, g.Target) }

// judge walks a completion of a game, step by step.
type judge struct {
	game *Game
	now  State
	// visited are the distinct states reached so far, the first and the present one included.
	visited  []State
	answered bool
}

func newJudge(g *Game) *judge {
	j := &judge{game: g, now: g.Numbers, visited: make([]State, 1, 8)}
	j.visited[0] = g.Numbers
	return j
}

// step judges the next step. Only a good operation or return moves the state; any answer ends the reasoning.
func (j *judge) step(text string) task.StepCheck {
	l, err := parseLine(text)
	c := task.StepCheck{Kind: l.kind}
	switch {
	case err != nil:
		c.Reason = "can't be read: " + words(err)
	case l.kind == task.StepOperation:
		c = j.operation(&l)
	case l.kind == task.StepBack:
		c = j.back(&l)
	default:
		c = j.answer(&l)
	}
	if j.answered {
		c.Legal = false
		c.Reason = "comes after the answer; " + c.Reason
	} else if c.Good() && l.kind != task.StepAnswer {
		j.now = l.left
		if !slices.Contains(j.visited, j.now) {
			j.visited = append(j.visited, j.now)
		}
	}
	j.answered = j.answered || l.kind == task.StepAnswer
	c.State = j.now.String()
	c.Final = !j.answered && (j.now.count == 1 || j.game.Subset && j.now.has(j.game.Target))
	return c
}

func (j *judge) operation(l *line) task.StepCheck {
	c := task.StepCheck{Kind: l.kind, Parsed: true}
	value, err := l.op.Apply(l.a, l.b)
	c.True = err == nil && value == l.result
	want, uses := j.now.replace(l.a, l.b, l.result)
	c.Legal = uses && l.left == want && l.ascending

	stated := l.a.String() + " " + l.op.String() + " " + l.b.String()
	switch {
	case err != nil:
		c.Reason = stated + " has no value: " + words(err)
	case !c.True:
		c.Reason = stated + " is " + value.String() + ", not " + l.result.String()
	case !uses:
		c.Reason = stated + " = " + l.result.String() + " is true, but of " + l.a.String() + " and " + l.b.String() +
			" not both are left: " + j.now.String() + " are"
	case l.left != want:
		c.Reason = stated + " = " + l.result.String() + " is true, but it leaves " + want.String() + ", not " + l.left.String()
	case !l.ascending:
		c.Reason = stated + " = " + l.result.String() + " is true, but the numbers left must be written ascending: " + want.String()
	default:
		c.Reason = stated + " = " + l.result.String() + " is true and uses " + l.a.String() + " and " + l.b.String() + ", which are left"
	}
	return c
}

func (j *judge) back(l *line) task.StepCheck {
	c := task.StepCheck{Kind: l.kind, Parsed: true, True: true}
	switch {
	case !l.ascending:
		c.Reason = "the numbers left must be written ascending: " + l.left.String()
	case l.left == j.now:
		c.Reason = "goes back to " + l.left.String() + ", which is where the reasoning stands"
	case !slices.Contains(j.visited, l.left):
		c.Reason = "goes back to " + l.left.String() + ", which was not reached before"
	default:
		c.Legal = true
		c.Reason = "goes back to " + l.left.String() + ", which was reached before"
	}
	return c
}

// answer judges an answer as a step: is its equation true, does it use the puzzle's numbers, and do the steps before it lead to its
// value (else it skips). Whether the value is the target is for [Game.verify].
func (j *judge) answer(l *line) task.StepCheck {
	c := task.StepCheck{Kind: l.kind, Parsed: true}
	value, err := l.expr.Value()
	c.True = err == nil && value == l.result
	fault := j.game.misuse(l.expr)
	c.Legal = fault == "" && j.now.has(l.result) && (j.game.Subset || j.now.count == 1)
	switch {
	case err != nil:
		c.Reason = l.expr.String() + " has no value: " + words(err)
	case !c.True:
		c.Reason = l.expr.String() + " is " + value.String() + ", not " + l.result.String()
	case fault != "":
		c.Reason = "the equation is true, but " + fault
	case !c.Legal:
		c.Reason = "the equation is true, but steps are skipped: those before it leave " + j.now.String()
	default:
		c.Reason = "the equation is true, uses the puzzle's numbers and follows from the steps before it"
	}
	return c
}

// verify judges the first answer of the completion.
func (g *Game) verify(completion string) task.Verdict {
	wrong := func(reason string) task.Verdict { return task.Verdict{Outcome: hone.OutcomeWrong, Reason: reason} }
	for text := range strings.SplitSeq(completion, "\n") {
		if kindOf(text) != task.StepAnswer {
			continue
		}
		l, err := parseLine(text)
		if err != nil {
			return wrong("the answer can't be read: " + words(err))
		}
		if fault := g.misuse(l.expr); fault != "" {
			return wrong(fault)
		}
		value, err := l.expr.Value()
		switch {
		case err != nil:
			return wrong(l.expr.String() + " has no value: " + words(err))
		case value != g.Target:
			return wrong(l.expr.String() + " is " + value.String() + ", not " + g.Target.String())
		case value != l.result:
			return wrong(l.expr.String() + " is " + value.String() + ", not " + l.result.String() + " as the answer says")
		}
		return task.Verdict{
			Outcome: hone.OutcomeRight,
			Reason:  l.expr.String() + " is " + g.Target.String() + " and uses numbers of " + g.Numbers.String() + g.once(),
		}
	}
	return wrong(`there is no answer: no line begins with "` + answerMark + `"`)
}

// once says how often the answer may use each number.
func (g *Game) once() string {
	if g.Subset {
		return ", each at most once"
	}
	return ", each exactly once"
}

// misuse says what is wrong with the numbers that an answer uses; empty when nothing is.
func (g *Game) misuse(e arith.Expr) string {
	var space [arith.MaxNumbers]arith.Number
	rest := g.Numbers
	for _, n := range e.AppendNumbers(space[:0]) {
		var ok bool
		if rest, ok = rest.without(n); !ok {
			return "the answer uses " + n.String() + " more often than " + g.Numbers.String() + " has it"
		}
	}
	if !g.Subset && rest.count > 0 {
		return "the answer leaves " + rest.String() + " of " + g.Numbers.String() + " unused"
	}
	return ""
}

// words is an error's text for a reader who need not know that it is [hone.ErrInvalid].
func words(err error) string { return strings.TrimSuffix(err.Error(), ": "+hone.ErrInvalid.Error()) }
