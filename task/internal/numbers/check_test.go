package numbers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/arith"
)

// ofKey makes rules for tests: keys are digits, each a number, then "=" and the target; "?" for "=" where numbers may stay unused.
func ofKey(key string) (Game, error) {
	digits, target, exact := strings.Cut(key, "=")
	if !exact {
		digits, target, _ = strings.Cut(key, "?")
	}
	n, err := arith.ParseNumber(target)
	if err != nil {
		return Game{}, err
	}
	var values []int64
	for _, d := range digits {
		values = append(values, int64(d-'0'))
	}
	return Game{Numbers: stateOf(values...), Target: n, Subset: !exact}, nil
}

func setup(t require.TestingT, key string) (*Rules, hone.Problem) {
	r := NewRules("digits", ofKey, func(*Game) string { return key })
	p, err := r.Problem(key)
	require.NoError(t, err)
	return r, p
}

const solution = "9 - 4 = 5 (left: 5 5 6)\n5 * 5 = 25 (left: 6 25)\n6 + 25 = 31 (left: 31)\nAnswer: (5 * (9 - 4)) + 6 = 31\n"

func TestStepsReproduceTheText(t *testing.T) {
	t.Parallel()
	r, _ := setup(t, "4569=31")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune{'a', '\n', ' '})).Draw(t, "text")
		joined := ""
		for _, s := range r.Steps(text) {
			require.NotContains(t, s, "\n")
			joined += s + "\n"
		}
		require.Contains(t, []string{text, text + "\n"}, joined)
	})
	require.Empty(t, r.Steps(""))
	require.Equal(t, []string{""}, r.Steps("\n"))
	require.Equal(t, []string{"a", "", "b"}, r.Steps("a\n\nb"))
}

func TestCheckGoodSteps(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=31")
	text := "9 / 6 = 3/2 (left: 3/2 4 5)\n3/2 - 4 = -5/2 (left: -5/2 5)\nback (left: 3/2 4 5)\nback (left: 4 5 6 9)\n" + solution
	var states []string
	var final []bool
	for _, c := range r.Check(p, text) {
		require.True(t, c.Good(), c.Reason)
		states, final = append(states, c.State), append(final, c.Final)
	}
	require.Equal(t, []string{"3/2 4 5", "-5/2 5", "3/2 4 5", "4 5 6 9", "5 5 6", "6 25", "31", "31"}, states)
	require.Equal(t, []bool{false, false, false, false, false, false, true, false}, final, "one number is left, and no answer given yet")
	require.Equal(t, hone.OutcomeRight, r.Verify(p, text).Outcome)
}

func TestCheckJudgesEachFault(t *testing.T) {
	t.Parallel()
	const y, n = true, false
	for name, c := range map[string]struct {
		before, text         string
		kind                 task.StepKind
		parsed, holds, legal bool
		reason               string
	}{
		"false arithmetic": {"", "9 - 4 = 6 (left: 5 6 6)", task.StepOperation, y, n, y, "9 - 4 is 5, not 6"},
		"division by zero": {
			"4 * 5 = 20 (left: 6 9 20)\n", "20 / 0 = 0 (left: 0 6 9)", task.StepOperation, y, n, n, "has no value: division by zero",
		},
		"overflow":            {"", "999999999999 * 999999999999 = 1 (left: 1)", task.StepOperation, y, n, n, "number too large"},
		"number not there":    {"", "9 - 3 = 6 (left: 4 5 6 6)", task.StepOperation, y, y, n, "of 9 and 3 not both are left: 4 5 6 9 are"},
		"one number twice":    {"", "9 + 9 = 18 (left: 4 5 6 18)", task.StepOperation, y, y, n, "not both are left"},
		"used up":             {"9 - 4 = 5 (left: 5 5 6)\n", "9 + 6 = 15 (left: 5 5 15)", task.StepOperation, y, y, n, "not both are left"},
		"wrong list":          {"", "9 - 4 = 5 (left: 5 6)", task.StepOperation, y, y, n, "it leaves 5 5 6, not 5 6"},
		"list not ascending":  {"", "9 - 4 = 5 (left: 6 5 5)", task.StepOperation, y, y, n, "must be written ascending: 5 5 6"},
		"no list":             {"", "9 - 4 = 5", task.StepOperation, n, n, n, "want an operation such as"},
		"two spaces":          {"", "9  - 4 = 5 (left: 5 5 6)", task.StepOperation, n, n, n, "want an operation such as"},
		"space at the end":    {"", "9 - 4 = 5 (left: 5 5 6) ", task.StepOperation, n, n, n, "want an operation such as"},
		"two operations":      {"", "9 - 4 + 5 = 10 (left: 6 10)", task.StepOperation, n, n, n, "want an operation such as"},
		"power":               {"", "4 ** 5 = 1024 (left: 6 9 1024)", task.StepOperation, n, n, n, "want an operation such as"},
		"not in lowest terms": {"", "4 / 6 = 4/6 (left: 4/6 5 9)", task.StepOperation, n, n, n, "want an operation such as"},
		"seven in the list":   {"", "9 - 4 = 5 (left: 1 2 3 4 5 6 7)", task.StepOperation, n, n, n, "want an operation such as"},
		"back to nowhere":     {"", "back (left: 1 2)", task.StepBack, y, y, n, "which was not reached before"},
		"back to here":        {"", "back (left: 4 5 6 9)", task.StepBack, y, y, n, "where the reasoning stands"},
		"back to a bad state": {"9 - 4 = 6 (left: 5 6 6)\n", "back (left: 5 6 6)", task.StepBack, y, y, n, "which was not reached before"},
		"back not ascending":  {"9 - 4 = 5 (left: 5 5 6)\n", "back (left: 9 6 5 4)", task.StepBack, y, y, n, "must be written ascending"},
		"back malformed":      {"", "back to the start", task.StepBack, n, n, n, "want a return such as"},
		"answer skips": {
			"", "Answer: (5 * (9 - 4)) + 6 = 31", task.StepAnswer, y, y, n, "steps are skipped: those before it leave 4 5 6 9",
		},
		"answer false":         {"", "Answer: 4 + 5 + 6 + 9 = 31", task.StepAnswer, y, n, n, "is 24, not 31"},
		"answer reuses":        {"", "Answer: 9 + 9 + 9 + 4 = 31", task.StepAnswer, y, y, n, "uses 9 more often"},
		"answer leaves":        {"", "Answer: 5 * 5 + 6 = 31", task.StepAnswer, y, y, n, "uses 5 more often"},
		"answer unused":        {"", "Answer: 4 * 5 = 20", task.StepAnswer, y, y, n, "leaves 6 9 of 4 5 6 9 unused"},
		"answer malformed":     {"", "Answer: 31", task.StepAnswer, n, n, n, "want an answer such as"},
		"answer of a power":    {"", "Answer: 2 ** 5 - 1 = 31", task.StepAnswer, n, n, n, "want an unsigned integer"},
		"answer by zero":       {"", "Answer: 4 / (5 + 4 - 9) = 31", task.StepAnswer, y, n, n, "division by zero"},
		"after the answer":     {"Answer: 1 = 1\n", "9 - 4 = 5 (left: 5 5 6)", task.StepOperation, y, y, n, "comes after the answer"},
		"prose":                {"", "Let me think.", task.StepOther, n, n, n, "want an operation, a return"},
		"empty line":           {"", "", task.StepOther, n, n, n, "want an operation, a return"},
		"answer in lower case": {"", "answer: 31 = 31", task.StepOther, n, n, n, "want an operation, a return"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := setup(t, "4569=31")
			checks := r.Check(p, c.before+c.text+"\n")
			before, _ := r.State(p, c.before)
			got := checks[len(checks)-1]
			require.Contains(t, got.Reason, c.reason)
			want := task.StepCheck{Kind: c.kind, Parsed: c.parsed, True: c.holds, Legal: c.legal, State: before, Reason: got.Reason}
			require.Equal(t, want, got, "a bad step leaves the state as it was")
		})
	}
}

func TestReasoningGoesOnAfterABadStep(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=31")
	checks := r.Check(p, "9 - 4 = 6 (left: 5 6 6)\nhm\n"+solution)
	require.False(t, checks[0].Good())
	require.False(t, checks[1].Good())
	for _, c := range checks[2:] {
		require.True(t, c.Good(), c.Reason)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=31")
	for name, c := range map[string]struct {
		text    string
		outcome hone.Outcome
		reason  string
	}{
		"solution":               {solution, hone.OutcomeRight, "each exactly once"},
		"answer alone":           {"Answer: (5*(9-4))+6=31", hone.OutcomeRight, "each exactly once"},
		"first answer counts":    {"Answer: 4 = 4\n" + solution, hone.OutcomeWrong, "leaves 5 6 9 of 4 5 6 9 unused"},
		"text after is no harm":  {solution + "Answer: 4 = 4\n", hone.OutcomeRight, "each exactly once"},
		"wrong value":            {"Answer: 4 + 5 + 6 + 9 = 24", hone.OutcomeWrong, "is 24, not 31"},
		"value misstated":        {"Answer: (5 * (9 - 4)) + 6 = 30", hone.OutcomeWrong, "not 30 as the answer says"},
		"wish":                   {"Answer: 4 + 5 + 6 + 9 = 31", hone.OutcomeWrong, "is 24, not 31"},
		"reuse":                  {"Answer: 9 + 9 + 9 + 4 = 31", hone.OutcomeWrong, "more often"},
		"glued digits":           {"Answer: 45 - 9 - 6 + 1 = 31", hone.OutcomeWrong, "uses 45 more often"},
		"target out of thin air": {"Answer: 31 = 31", hone.OutcomeWrong, "uses 31 more often"},
		"division by zero":       {"Answer: 6 / (4 + 5 - 9) = 31", hone.OutcomeWrong, "division by zero"},
		"none":                   {"9 - 4 = 5 (left: 5 5 6)\n", hone.OutcomeWrong, "there is no answer"},
		"empty":                  {"", hone.OutcomeWrong, "there is no answer"},
		"malformed":              {"Answer: ((((", hone.OutcomeWrong, "can't be read"},
		"huge power":             {"Answer: 9 ** 9 ** 9 ** 9 = 31", hone.OutcomeWrong, "can't be read"},
		"absurdly long":          {strings.Repeat("x", MaxText+1), hone.OutcomeUnparsable, "at most"},
	} {
		v := r.Verify(p, c.text)
		require.Equal(t, c.outcome, v.Outcome, name)
		require.Contains(t, v.Reason, c.reason, name)
	}
	v := r.Verify(hone.Problem{Task: "other", Key: "4569=31"}, solution)
	require.Equal(t, hone.OutcomeCrashed, v.Outcome)
	require.Equal(t, `problem "4569=31" of task "other" is not of task "digits"`, v.Reason)
}

func TestSubsetGames(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569?20")
	text := "4 * 5 = 20 (left: 6 9 20)\nAnswer: 4 * 5 = 20\n"
	for _, c := range r.Check(p, text) {
		require.True(t, c.Good(), c.Reason)
	}
	require.True(t, r.Check(p, text)[0].Final, "what is to be made is there, and the rest may stay unused")
	require.Equal(t, hone.OutcomeRight, r.Verify(p, text).Outcome)
	require.Equal(t, 2, r.Need(p))
	require.Equal(t, 2, r.Need(p), "from the cache")
	_, p = setup(t, "4569?9999999")
	require.Equal(t, 4, r.Need(p), "without a solution")
	require.Zero(t, r.Need(hone.Problem{Task: "digits", Key: "no"}))
	require.Equal(t, hone.OutcomeWrong, r.Verify(p, "Answer: 4 * 4 = 16").Outcome, "still each number at most once")
}

func TestState(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=31")
	lines := strings.SplitAfter(solution, "\n")
	for i, want := range []string{"4 5 6 9", "5 5 6", "6 25", "31", "31"} {
		state, terminal := r.State(p, strings.Join(lines[:i], ""))
		require.Equal(t, want, state)
		require.Equal(t, i == 4, terminal)
	}
	_, terminal := r.State(p, "Answer: nonsense")
	require.True(t, terminal, "any answer ends the reasoning")
	state, terminal := r.State(hone.Problem{}, "")
	require.True(t, terminal)
	require.Empty(t, state)
}

func TestTooLongOrForeignIsRefusedStepByStep(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=31")
	for _, c := range r.Check(p, strings.Repeat(solution, 1000)) {
		require.Equal(t, task.StepOther, c.Kind)
		require.False(t, c.Parsed)
		require.Contains(t, c.Reason, "at most 65536 are judged")
	}
	require.Len(t, r.Check(hone.Problem{}, solution), 4)
}

// FuzzCheck feeds arbitrary completions: nothing crashes, there is one finding a step, findings agree with each other, and a right
// verdict means that a legal or a skipping answer with a true equation was found.
func FuzzCheck(f *testing.F) {
	f.Add(solution)
	f.Add("back (left: 4 5 6 9)\nAnswer: 1/0 = 3/1\n\n")
	f.Add("9 / 4 = 9/4 (left: 9/4 5 6)\n9/4 / 5 = 9/20 (left: 9/20 6)\nback (left: 9/4 5 6)\nAnswer: ((((((9")
	f.Fuzz(func(t *testing.T, text string) {
		for _, key := range []string{"4569=31", "4569?31"} {
			r, p := setup(t, key)
			checks := r.Check(p, text)
			require.Len(t, checks, len(r.Steps(text)))
			state, terminal := r.State(p, text)
			answers := 0
			for i, c := range checks {
				require.False(t, c.True && !c.Parsed)
				require.False(t, c.Legal && !c.Parsed)
				require.NotEmpty(t, c.Reason)
				if c.Kind == task.StepAnswer && answers == 0 {
					answers++
					require.Equal(t, state, c.State)
					if r.Verify(p, text).Outcome == hone.OutcomeRight {
						require.True(t, c.True, fmt.Sprint(i, c))
					}
				}
			}
			require.Equal(t, answers > 0, terminal || len(text) > MaxText)
		}
	})
}
