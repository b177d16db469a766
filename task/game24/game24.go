package game24

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/internal/numbers"
)

// Name is the task's name.
const Name = "game24"

// SplitYao is the 100 puzzles that Yao et al. 2023 test on, where [Config.Yao] has them.
const SplitYao hone.Split = "yao2023"

// HeldOut is how many of the 1,362 puzzles are [hone.SplitHeldOut].
const HeldOut = 300

// heldOutSeed chooses the held-out puzzles. It never changes: results on them could not be compared.
const heldOutSeed = 24

// The methods that come with the rules of such puzzles.
type rules = numbers.Rules

// Task is the Game of 24. It is a [task.Task] and a [task.Demonstrator], safe for concurrent use. Beyond those it has
// Solve(p) (completion, error), which writes the same shortest solution at each call, or is [hone.ErrNotFound], and
// Solutions(p, limit) ([]string, error), the distinct answers up to the order of the operands of + and *.
type Task struct {
	*rules
	cfg     Config
	heldOut []hone.Problem
	yao     []hone.Problem
	// reserved are the keys of heldOut and yao: never trained on, never demonstrated.
	reserved map[string]bool
	train    func() []hone.Problem
}

var (
	_ task.Task         = (*Task)(nil)
	_ task.Demonstrator = (*Task)(nil)
)

// New finds the puzzles. The training set is made when it is first asked for, in a fraction of a second.
func New(cfg Config) (*Task, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("game24 configuration: %w", err)
	}
	t := &Task{rules: numbers.NewRules(Name, parse, key), cfg: cfg, reserved: make(map[string]bool)}

	var classic []hone.Problem
	for _, g := range solvable(multisets(4, 13), -1) {
		classic = append(classic, t.ProblemOf(&g))
	}
	order := hone.Rand(hone.Seed(heldOutSeed, "game24 held out")).Perm(len(classic))[:HeldOut]
	slices.Sort(order)
	for _, i := range order {
		t.heldOut = append(t.heldOut, classic[i])
		t.reserved[classic[i].Key] = true
	}
	for _, puzzle := range cfg.Yao {
		g := gameOf(puzzle)
		p := t.ProblemOf(&g)
		t.yao = append(t.yao, p)
		t.reserved[p.Key] = true
	}
	t.train = sync.OnceValue(func() []hone.Problem { return t.makeTrain(classic) })
	return t, nil
}

// Problems is a split: [hone.SplitTrain] (the puzzles of four numbers up to 13 that are not kept for evaluation, then the wide
// ones), [hone.SplitHeldOut] and [SplitYao] (by difficulty).
func (t *Task) Problems(split hone.Split) ([]hone.Problem, error) {
	switch split {
	case hone.SplitTrain:
		return slices.Clone(t.train()), nil
	case hone.SplitHeldOut:
		return slices.Clone(t.heldOut), nil
	case SplitYao:
		if len(t.yao) == 0 {
			return nil, fmt.Errorf("split %q of game24: the list of puzzles was not given; it is src/tot/data/24/24.csv of "+
				"github.com/princeton-nlp/tree-of-thought-llm: %w", split, hone.ErrNotFound)
		}
		return slices.Clone(t.yao), nil
	}
	return nil, fmt.Errorf("split %q of game24: there are %q, %q and %q: %w",
		split, hone.SplitTrain, hone.SplitHeldOut, SplitYao, hone.ErrNotFound)
}

// Demonstrate writes a completion to imitate. Problems of [hone.SplitHeldOut] and [SplitYao] are refused with
// [hone.ErrInvalid].
func (t *Task) Demonstrate(p hone.Problem, rng *rand.Rand, style task.Style) (string, error) {
	canonical, err := t.Problem(p.Key)
	if err != nil {
		return "", err
	}
	if t.reserved[canonical.Key] {
		return "", fmt.Errorf("puzzle %q is kept for evaluation and never demonstrated: %w", canonical.Key, hone.ErrInvalid)
	}
	return t.rules.Demonstrate(p, rng, style, t.cfg.Traces)
}
