package countdown_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/countdown"
)

func setup(t testing.TB, cfg countdown.Config) *countdown.Task {
	t.Helper()
	tk, err := countdown.New(cfg)
	require.NoError(t, err)
	return tk
}

func problems(t testing.TB, tk *countdown.Task, split hone.Split) []hone.Problem {
	t.Helper()
	all, err := tk.Problems(split)
	require.NoError(t, err)
	return all
}

func ExampleTask() {
	tk, err := countdown.New(countdown.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := tk.Problem("50 25 7 3 = 78")
	fmt.Printf("%s %q %v\n", p.ID(), p.Prompt, err)
	text, err := tk.Solve(p)
	fmt.Print(text)
	fmt.Println(tk.Verify(p, text), tk.Need(p), err)
	// Output:
	// countdown:3 7 25 50 = 78 "Use 3 7 25 50 to make 78.\n" <nil>
	// 3 + 25 = 28 (left: 7 28 50)
	// 28 + 50 = 78 (left: 7 78)
	// Answer: (3 + 25) + 50 = 78
	// {right (3 + 25) + 50 is 78 and uses numbers of 3 7 25 50, each at most once} 3 <nil>
}

func TestSplitsAreDisjointAndSolvable(t *testing.T) {
	t.Parallel()
	cfg := countdown.DefaultConfig()
	tk := setup(t, cfg)
	train, heldOut := problems(t, tk, hone.SplitTrain), problems(t, tk, hone.SplitHeldOut)
	require.Len(t, train, cfg.Train)
	require.Len(t, heldOut, cfg.HeldOut)
	seen := make(map[string]bool)
	for _, p := range append(heldOut, train...) {
		require.False(t, seen[p.Key], p.Key)
		seen[p.Key] = true
		again, err := tk.Problem(p.Key)
		require.NoError(t, err)
		require.Equal(t, p, again, "keys are canonical")
	}
	for i := 0; i < len(train); i += 100 {
		p := train[i]
		text, err := tk.Solve(p)
		require.NoError(t, err, p.Key)
		require.Equal(t, hone.OutcomeRight, tk.Verify(p, text).Outcome, text)
		require.Len(t, tk.Steps(text), tk.Need(p))
	}
	for _, p := range heldOut {
		_, err := tk.Demonstrate(p, hone.Rand(1), task.StyleWalk)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}

	cfg.Train = 10
	require.Equal(t, heldOut, problems(t, setup(t, cfg), hone.SplitHeldOut), "held-out problems do not depend on the size of training")
	require.Equal(t, train[:10], problems(t, setup(t, cfg), hone.SplitTrain))
	cfg.Seed = 1
	require.NotEqual(t, heldOut, problems(t, setup(t, cfg), hone.SplitHeldOut))
	_, err := tk.Problems("test")
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestGenerationEndsWhenProblemsRunOut(t *testing.T) {
	t.Parallel()
	cfg := countdown.DefaultConfig()
	cfg.MinNumbers, cfg.MaxNumbers, cfg.MaxNumber, cfg.MaxTarget, cfg.Train = 3, 3, 10, 10, 1e6
	tk := setup(t, cfg)
	require.Len(t, problems(t, tk, hone.SplitHeldOut), 300)
	// 220 multisets of three numbers up to 10, each with at most 9 targets.
	require.Less(t, len(problems(t, tk, hone.SplitTrain)), 220*9)
}

func TestProblem(t *testing.T) {
	t.Parallel()
	tk := setup(t, countdown.DefaultConfig())
	p, err := tk.Problem(" 50,25 7 3=78 ")
	require.NoError(t, err)
	require.Equal(t, "3 7 25 50 = 78", p.Key)
	for name, text := range map[string]string{
		"empty": "", "no target": "3 7 25 50", "empty target": "3 7 25 =", "two numbers": "3 7 = 10", "seven numbers": "1 2 3 4 5 6 7 = 8",
		"zero": "0 1 2 = 3", "negative target": "1 2 3 = -3", "large number": "1 2 1000 = 3", "large target": "1 2 3 = 100000",
		"word": "a b c = d", "signed": "+1 2 3 = 4", "two equals": "1 2 3 = 4 = 5", "huge": strings.Repeat("9 ", 400),
	} {
		_, err := tk.Problem(text)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, `such as "3 7 25 50 = 78"`, name)
		require.Less(t, len(err.Error()), 300, name)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := countdown.New(countdown.Config{Train: -1, HeldOut: 2e6, MinNumbers: 7, MaxNumbers: 2, MaxNumber: 5, MaxTarget: 1e6})
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{
		"train -1", "held_out 2000000", "min_numbers 7", "max_numbers 2", "max_number 5", "max_target 1000000", "max_result 0",
	} {
		require.ErrorContains(t, err, want)
	}
}

func BenchmarkGenerate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		problems(b, setup(b, countdown.DefaultConfig()), hone.SplitTrain)
	}
}

// BenchmarkNeed asks for problems of six numbers, the worst for the solver, each once.
func BenchmarkNeed(b *testing.B) {
	cfg := countdown.DefaultConfig()
	cfg.MinNumbers = 6
	tk := setup(b, cfg)
	train := problems(b, tk, hone.SplitTrain)
	i := 0
	for b.Loop() {
		tk.Need(train[i%len(train)])
		i++
	}
}

// The problems of Stream of Search, Gandhi et al. 2024, arXiv:2404.03683, section 3: four numbers, all used, targets from 10 to 100.
func TestProblemsOfStreamOfSearch(t *testing.T) {
	t.Parallel()
	cfg := countdown.DefaultConfig()
	cfg.MinNumbers, cfg.MaxNumbers, cfg.MaxNumber, cfg.MinTarget, cfg.MaxTarget, cfg.Train, cfg.HeldOut = 4, 4, 100, 10, 100, 200, 300
	cfg.UseAll = true
	tk := setup(t, cfg)
	for _, split := range []hone.Split{hone.SplitTrain, hone.SplitHeldOut} {
		for _, p := range problems(t, tk, split) {
			text, err := tk.Solve(p)
			require.NoError(t, err, p.Key)
			require.Equal(t, 4, strings.Count(text, "\n"), "three steps and the answer: %s", text)
			require.Equal(t, hone.OutcomeRight, tk.Verify(p, text).Outcome, text)
			numbers, target, ok := strings.Cut(p.Key, " = ")
			require.True(t, ok, p.Key)
			require.Len(t, strings.Fields(numbers), 4)
			n, err := strconv.Atoi(target)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, 10)
			require.LessOrEqual(t, n, 100)
		}
	}
	p, err := tk.Problem("4 21 31 81 = 84")
	require.NoError(t, err)
	short := "4 * 21 = 84 (left: 31 81 84)\nAnswer: 4 * 21 = 84\n"
	require.NotEqual(t, hone.OutcomeRight, tk.Verify(p, short).Outcome, "two numbers were not used")
	cfg.MinTarget = 101
	_, err = countdown.New(cfg)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "min_target 101")
}
