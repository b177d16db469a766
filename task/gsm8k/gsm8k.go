// Package gsm8k is grade-school mathematics in words, in the form of Cobbe et al. 2021 (arXiv:2110.14168): a question, lines that may
// carry their arithmetic between << and >>, and the answer after "####".
//
//	Natalia sold 48/2 = <<48/2=24>>24 clips in May.
//	Natalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.
//	#### 72
//
// Answers in other words ("the answer is $72", \boxed{72}) are read too. Arithmetic is exact: 10/3 is not 3.33. The package opens no
// file; the problems are handed in.
package gsm8k

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/internal/prose"
)

// Name is the task's name.
const Name = "gsm8k"

// need is the length of a solution: GSM8K's 8,792 have 3.2 annotated steps on average, and their answer.
const need = 4

// marker begins the answer's line.
const marker = "####"

type rules = prose.Rules

// Task is a set of such problems. It is a [task.Task] and a [task.Poser], safe for concurrent use.
type Task struct {
	*rules
	splits map[hone.Split][]hone.Problem
}

var (
	_ task.Task  = (*Task)(nil)
	_ task.Poser = (*Task)(nil)
)

// New is the task with the problems of each split; there may be none.
func New(splits map[hone.Split][]hone.Problem) *Task {
	t := &Task{rules: prose.NewRules(Name, need, prose.Numeric{}), splits: make(map[hone.Split][]hone.Problem, len(splits))}
	for split, problems := range splits {
		t.splits[split] = slices.Clone(problems)
	}
	return t
}

// Problems are those that were handed in for the split.
func (t *Task) Problems(split hone.Split) ([]hone.Problem, error) {
	problems, ok := t.splits[split]
	if !ok {
		return nil, fmt.Errorf("split %q of gsm8k was not handed in: %w", split, hone.ErrNotFound)
	}
	return slices.Clone(problems), nil
}

// Solved is a problem with the solution that its data set gives.
type Solved struct {
	Problem  hone.Problem
	Solution string
}

// Read reads the data set's files: one JSON object a line, with "question" and "answer", the answer after "####". A line that is
// none is [hone.ErrInvalid], with its number.
func Read(r io.Reader) ([]Solved, error) {
	t := New(nil)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var out []Solved
	for number := 1; lines.Scan(); number++ {
		var row struct {
			Question string `json:"question"`
			Answer   string `json:"answer"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("gsm8k line %d: %w: %w", number, err, hone.ErrInvalid)
		}
		_, reference, found := strings.Cut(row.Answer, marker)
		if !found {
			return nil, fmt.Errorf("gsm8k line %d: the answer lacks %s: %w", number, marker, hone.ErrInvalid)
		}
		p, err := t.Pose(row.Question, reference)
		if err != nil {
			return nil, fmt.Errorf("gsm8k line %d: %w", number, err)
		}
		out = append(out, Solved{Problem: p, Solution: row.Answer})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read gsm8k: %w", err)
	}
	return out, nil
}
