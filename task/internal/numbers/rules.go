package numbers

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// MaxText is the longest completion that is judged, in bytes. It is many times what a policy's context holds.
const MaxText = 1 << 16

// Rules are what a task of this kind does apart from choosing its problems. They are safe for concurrent use.
type Rules struct {
	name  string
	parse func(key string) (Game, error)
	key   func(g *Game) string
	// need caches the solver's work: problem key to steps.
	need sync.Map
}

// NewRules are the rules of the task of that name. parse reads a key in any form, or returns [hone.ErrInvalid]; key writes it in
// canonical form. Both must be pure functions.
func NewRules(name string, parse func(key string) (Game, error), key func(g *Game) string) *Rules {
	return &Rules{name: name, parse: parse, key: key}
}

// Name is the task's name.
func (r *Rules) Name() string { return r.name }

// Problem rebuilds the problem that the key names; see task.Task.
func (r *Rules) Problem(key string) (hone.Problem, error) {
	game, err := r.parse(key)
	if err != nil {
		return hone.Problem{}, err
	}
	return r.ProblemOf(&game), nil
}

// ProblemOf is the game as a problem of this task.
func (r *Rules) ProblemOf(g *Game) hone.Problem {
	return hone.Problem{Task: r.name, Key: r.key(g), Prompt: g.Prompt()}
}

// Steps are the completion's lines.
func (r *Rules) Steps(completion string) []string {
	if completion == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(completion, "\n"), "\n")
}

// Check judges every line; see the package's comment for their forms. A step that is not good leaves the state as it was, so
// later steps are judged as if it had not been written. Steps after the first answer are never legal. Of a completion longer than
// [MaxText], or for a problem that is not of this task, no step is parsed.
func (r *Rules) Check(p hone.Problem, completion string) []task.StepCheck {
	steps := r.Steps(completion)
	checks := make([]task.StepCheck, len(steps))
	game, err := r.game(p)
	if err == nil {
		err = tooLong(completion)
	}
	if err != nil {
		for i := range checks {
			checks[i] = task.StepCheck{Kind: task.StepOther, Reason: words(err)}
		}
		return checks
	}
	j := newJudge(&game)
	for i, text := range steps {
		checks[i] = j.step(text)
	}
	return checks
}

// Verify judges the first line that begins with "Answer:". A malformed or missing answer is wrong: the grammar is exact, so there
// is no doubt. A completion longer than [MaxText] is unparsable; a problem that is not of this task is the verifier's failure.
func (r *Rules) Verify(p hone.Problem, completion string) task.Verdict {
	game, err := r.game(p)
	if err != nil {
		return task.Verdict{Outcome: hone.OutcomeCrashed, Reason: words(err)}
	}
	if err := tooLong(completion); err != nil {
		return task.Verdict{Outcome: hone.OutcomeUnparsable, Reason: words(err)}
	}
	return game.verify(completion)
}

// State is the numbers left, such as "5 6 6", and whether an answer was given. For a problem that is not of this task and for a
// completion longer than [MaxText] it is empty and terminal: search ends there.
func (r *Rules) State(p hone.Problem, completion string) (state string, terminal bool) {
	game, err := r.game(p)
	if err != nil || tooLong(completion) != nil {
		return "", true
	}
	j := newJudge(&game)
	for _, text := range r.Steps(completion) {
		if j.step(text); j.answered {
			break
		}
	}
	return j.now.String(), j.answered
}

// Goal is the number that is to be made.
func (r *Rules) Goal(p hone.Problem) string {
	game, err := r.game(p)
	if err != nil {
		return ""
	}
	return game.Target.String()
}

// Need is the number of operations of a shortest solution and one for the answer. Where numbers may stay unused it is found by the
// solver once a problem; a problem without a solution needs as much as one that uses every number.
func (r *Rules) Need(p hone.Problem) int {
	game, err := r.game(p)
	switch {
	case err != nil:
		return 0
	case !game.Subset:
		return game.Numbers.Len()
	}
	if steps, ok := r.need.Load(p.Key); ok {
		return steps.(int) //nolint:forcetypeassert // need holds nothing but ints
	}
	steps := game.Numbers.Len()
	if cores := game.cores(&game.Numbers); len(cores) > 0 {
		steps = cores[0].Len()
	}
	r.need.Store(p.Key, steps)
	return steps
}

// game is the problem's game, or [hone.ErrInvalid].
func (r *Rules) game(p hone.Problem) (Game, error) {
	if p.Task != r.name {
		return Game{}, fmt.Errorf("problem %q of task %q is not of task %q: %w", p.Key, p.Task, r.name, hone.ErrInvalid)
	}
	return r.parse(p.Key)
}

func tooLong(completion string) error {
	if len(completion) > MaxText {
		return fmt.Errorf("the text has %d bytes, at most %d are judged: %w", len(completion), MaxText, hone.ErrInvalid)
	}
	return nil
}
