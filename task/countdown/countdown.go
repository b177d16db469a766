package countdown

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
	"github.com/hone-rl/hone/task/internal/numbers"
)

// Name is the task's name.
const Name = "countdown"

// The bounds of a problem.
const (
	fewest        = 3
	largestNumber = 999
	largestTarget = 99999
)

// The methods that come with the rules of such puzzles.
type rules = numbers.Rules

// Task is Countdown's numbers game. It is a [task.Task] and a [task.Demonstrator], safe for concurrent use. Beyond those it has
// Solve(p) (completion, error), which writes the same shortest solution at each call, or is [hone.ErrNotFound], and
// Solutions(p, limit) ([]string, error), the distinct answers up to the order of the operands of + and *, shortest first.
type Task struct {
	*rules
	cfg    Config
	splits func() splits
}

var (
	_ task.Task         = (*Task)(nil)
	_ task.Demonstrator = (*Task)(nil)
)

// New checks the configuration. The problems are generated when they are first asked for, in a fraction of a second.
func New(cfg Config) (*Task, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("countdown configuration: %w", err)
	}
	t := &Task{cfg: cfg}
	t.rules = numbers.NewRules(Name, t.parse, key)
	t.splits = sync.OnceValue(t.generate)
	return t, nil
}

// Problems is [hone.SplitTrain] or [hone.SplitHeldOut]. Where the configuration has fewer distinct problems than it asks for (few
// small numbers), training is shorter.
func (t *Task) Problems(split hone.Split) ([]hone.Problem, error) {
	switch split {
	case hone.SplitTrain:
		return slices.Clone(t.splits().train), nil
	case hone.SplitHeldOut:
		return slices.Clone(t.splits().heldOut), nil
	}
	return nil, fmt.Errorf("split %q of countdown: there are %q and %q: %w", split, hone.SplitTrain, hone.SplitHeldOut, hone.ErrNotFound)
}

// Demonstrate writes a completion to imitate. Problems of [hone.SplitHeldOut] are refused with [hone.ErrInvalid].
func (t *Task) Demonstrate(p hone.Problem, rng *rand.Rand, style task.Style) (string, error) {
	canonical, err := t.Problem(p.Key)
	if err != nil {
		return "", err
	}
	if t.splits().reserved[canonical.Key] {
		return "", fmt.Errorf("problem %q is kept for evaluation and never demonstrated: %w", canonical.Key, hone.ErrInvalid)
	}
	return t.rules.Demonstrate(p, rng, style, t.cfg.Traces)
}

// parse reads a key: numbers in any order with spaces or commas between, "=", and the target.
func (t *Task) parse(key string) (numbers.Game, error) {
	left, right, ok := strings.Cut(key, "=")
	target, good := integer(strings.Trim(right, " "), largestTarget)
	var values []arith.Number
	for field := range strings.FieldsFuncSeq(left, func(r rune) bool { return r == ' ' || r == ',' }) {
		n, fits := integer(field, largestNumber)
		good = good && fits && len(values) < numbers.Most
		values = append(values, n)
	}
	if !ok || !good || len(values) < fewest {
		if len(key) > 60 {
			key = key[:60] + "..."
		}
		return numbers.Game{}, fmt.Errorf("problem %q: want %d to %d numbers from 1 to %d, \"=\" and a target from 1 to %d, "+
			"such as \"3 7 25 50 = 78\": %w", key, fewest, numbers.Most, largestNumber, largestTarget, hone.ErrInvalid)
	}
	return t.gameOf(values, target), nil
}

// integer reads an unsigned integer from 1 to most.
func integer(text string, most int) (arith.Number, bool) {
	n, err := strconv.Atoi(text)
	ok := err == nil && n >= 1 && n <= most && text[0] != '+'
	return arith.Int(int64(n)), ok
}

// key is the numbers, ascending, and the target: "3 7 25 50 = 78".
func key(g *numbers.Game) string { return g.Numbers.String() + " = " + g.Target.String() }

func (t *Task) gameOf(values []arith.Number, target arith.Number) numbers.Game {
	s, _ := numbers.StateOf(values)
	return numbers.Game{Numbers: s, Target: target, Subset: !t.cfg.UseAll}
}
