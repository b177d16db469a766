package game24_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

// ranked is the public list of all puzzles by difficulty; the test is skipped where it is absent.
func ranked(t *testing.T) [][]int {
	t.Helper()
	shared := os.Getenv("HONE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	if !filepath.IsAbs(shared) { // it is relative to the root of the repository
		shared = filepath.Join("..", "..", shared)
	}
	path := filepath.Join(shared, "data", "game24", "24.csv")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is absent: set HONE_SHARED to the folder that holds data/game24/24.csv", path)
	}
	require.NoError(t, err)
	all, err := game24.ReadPuzzles(bytes.NewReader(text))
	require.NoError(t, err)
	return all
}

func setup(t testing.TB, cfg game24.Config) *game24.Task {
	t.Helper()
	tk, err := game24.New(cfg)
	require.NoError(t, err)
	return tk
}

func problems(t *testing.T, tk *game24.Task, split hone.Split) []hone.Problem {
	t.Helper()
	all, err := tk.Problems(split)
	require.NoError(t, err)
	return all
}

func keys(problems []hone.Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Key)
	}
	return out
}

func ExampleTask() {
	tk, err := game24.New(game24.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := tk.Problem("10 4 6 5")
	fmt.Printf("%s %q %v\n", p.ID(), p.Prompt, err)
	completion := "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	for _, c := range tk.Check(p, completion) {
		fmt.Println(c.Kind, c.Good(), c.Reason)
	}
	fmt.Println(tk.Verify(p, completion))
	_, err = tk.Problem("4 5 6")
	fmt.Println(err)
	_, err = tk.Problem("4 5 six")
	fmt.Println(err)
	// Output:
	// game24:4 5 6 10 "Use 4 5 6 10 to make 24.\n" <nil>
	// operation true 10 - 4 = 6 is true and uses 10 and 4, which are left
	// operation true 5 * 6 = 30 is true and uses 5 and 6, which are left
	// operation true 30 - 6 = 24 is true and uses 30 and 6, which are left
	// answer true the equation is true, uses the puzzle's numbers and follows from the steps before it
	// {right (5 * (10 - 4)) - 6 is 24 and uses numbers of 4 5 6 10, each exactly once}
	// <nil>
	// puzzle "4 5 six": want 4 numbers from 1 to 13, such as "4 5 6 10" (3 numbers and numbers up to 99 are accepted too): invalid
}

func TestClassicPuzzlesAreThePublicOnes(t *testing.T) {
	t.Parallel()
	var public []string
	tk := setup(t, game24.DefaultConfig())
	for _, puzzle := range ranked(t) {
		p, err := tk.Problem(strings.Trim(fmt.Sprint(puzzle), "[]"))
		require.NoError(t, err)
		public = append(public, p.Key)
	}
	require.Len(t, public, 1362)

	cfg := game24.DefaultConfig()
	cfg.Wide = 0
	ours := append(keys(problems(t, setup(t, cfg), hone.SplitTrain)), keys(problems(t, tk, hone.SplitHeldOut))...)
	require.ElementsMatch(t, public, ours)
}

func TestSplits(t *testing.T) {
	t.Parallel()
	cfg := game24.DefaultConfig()
	cfg.Wide = 1e6
	tk := setup(t, cfg)
	heldOut, train := problems(t, tk, hone.SplitHeldOut), problems(t, tk, hone.SplitTrain)
	require.Len(t, heldOut, game24.HeldOut)
	require.Equal(t, "e16dc0701e4bb411d44a17566957fcafe20b9de7238d103d3aa40935c7785de8", task.Digest(heldOut),
		"the held-out problems never change")
	require.Len(t, train, 1362-game24.HeldOut+23589, "all there are, as Config says")

	cfg.Wide = 500
	some := problems(t, setup(t, cfg), hone.SplitTrain)
	require.Len(t, some, 1362-game24.HeldOut+500)
	require.Equal(t, some, problems(t, setup(t, cfg), hone.SplitTrain), "the same in every process")
	known := make(map[string]bool, len(train))
	for _, p := range train {
		known[p.Key] = true
	}
	for _, p := range some {
		require.True(t, known[p.Key], p.Key)
	}
	cfg.Seed = 1
	require.NotEqual(t, task.Digest(some), task.Digest(problems(t, setup(t, cfg), hone.SplitTrain)))

	_, err := tk.Problems("validation")
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = tk.Problems(game24.SplitYao)
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.ErrorContains(t, err, "tree-of-thought-llm", "it says where to get the list")

	train[0].Key = "changed"
	require.NotEqual(t, "changed", problems(t, tk, hone.SplitTrain)[0].Key, "the caller owns the slice")
}

// TestNothingKeptForEvaluationIsTrainedOn compares multisets of numbers, not keys: it would notice a key that is not canonical.
func TestNothingKeptForEvaluationIsTrainedOn(t *testing.T) {
	t.Parallel()
	cfg := game24.DefaultConfig()
	var err error
	cfg.Yao, err = game24.YaoPuzzles(ranked(t))
	require.NoError(t, err)
	tk := setup(t, cfg)
	require.Len(t, problems(t, tk, game24.SplitYao), 100)
	require.Equal(t, "4 5 6 10", problems(t, tk, game24.SplitYao)[0].Key, "rank 901")

	multiset := func(key string) string {
		fields := strings.Fields(key)
		slices.Sort(fields)
		return strings.Join(fields, " ")
	}
	reserved := make(map[string]bool)
	for _, p := range append(problems(t, tk, hone.SplitHeldOut), problems(t, tk, game24.SplitYao)...) {
		reserved[multiset(p.Key)] = true
		for _, style := range []task.Style{task.StyleSolve, task.StyleWalk, task.StyleRetry, task.StyleSearch} {
			_, err := tk.Demonstrate(p, hone.Rand(1), style)
			require.ErrorIs(t, err, hone.ErrInvalid, "%s must not be demonstrated", p.Key)
		}
	}
	seen := make(map[string]bool)
	for i, p := range problems(t, tk, hone.SplitTrain) {
		require.False(t, reserved[multiset(p.Key)], p.Key)
		require.False(t, seen[multiset(p.Key)], "%s is twice in train", p.Key)
		seen[multiset(p.Key)] = true
		if i%40 == 0 {
			_, err := tk.Demonstrate(p, hone.Rand(uint64(i)), task.StyleSolve)
			require.NoError(t, err, "training puzzles have solutions")
		}
	}
	require.Len(t, seen, len(problems(t, tk, hone.SplitTrain)))
}

func TestProblem(t *testing.T) {
	t.Parallel()
	tk := setup(t, game24.DefaultConfig())
	for text, key := range map[string]string{
		"4 5 6 10": "4 5 6 10", "10 6 5 4": "4 5 6 10", " 10,6, 5 4 ": "4 5 6 10", "24 1 1": "1 1 24", "99 98 97 96": "96 97 98 99",
	} {
		p, err := tk.Problem(text)
		require.NoError(t, err, text)
		require.Equal(t, hone.Problem{Task: "game24", Key: key, Prompt: "Use " + key + " to make 24.\n"}, p)
	}
	for name, text := range map[string]string{
		"empty": "", "two numbers": "4 6", "five numbers": "1 2 3 4 5", "zero": "0 1 2 3", "negative": "-4 5 6 10", "too large": "4 5 6 100",
		"word": "four 5 6 10", "fraction": "1/2 5 6 10", "signed": "+4 5 6 10", "huge": strings.Repeat("9", 400), "line end": "4 5 6 10\n",
	} {
		_, err := tk.Problem(text)
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, "want 4 numbers from 1 to 13", name)
		require.Less(t, len(err.Error()), 300, name)
	}
}

func TestSolveAndSolutions(t *testing.T) {
	t.Parallel()
	tk := setup(t, game24.DefaultConfig())
	solutions := func(key string) []string {
		p, err := tk.Problem(key)
		require.NoError(t, err)
		all, err := tk.Solutions(p, 1000)
		require.NoError(t, err)
		return all
	}
	require.Equal(t, []string{"8 / (3 - (8 / 3))"}, solutions("3 3 8 8"))
	require.Equal(t, []string{"5 * (5 - (1 / 5))"}, solutions("1 5 5 5"))
	require.Contains(t, solutions("4 5 6 10"), "(5 * (10 - 4)) - 6")
	require.Empty(t, solutions("1 1 1 1"))

	p, err := tk.Problem("3 3 8 8")
	require.NoError(t, err)
	text, err := tk.Solve(p)
	require.NoError(t, err)
	require.Equal(t, "8 / 3 = 8/3 (left: 8/3 3 8)\n3 - 8/3 = 1/3 (left: 1/3 8)\n8 / 1/3 = 24 (left: 24)\n"+
		"Answer: 8 / (3 - (8 / 3)) = 24\n", text)
	require.Equal(t, 4, tk.Need(p))
	p, err = tk.Problem("1 1 1 1")
	require.NoError(t, err, "a puzzle without a solution is a puzzle")
	_, err = tk.Solve(p)
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = tk.Demonstrate(p, hone.Rand(1), task.StyleRetry)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func TestReadPuzzlesRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "other columns": "a,b\n1,2\n", "gap in ranks": "Rank,Puzzles\n2,1 1 4 6\n", "too few numbers": "Rank,Puzzles\n1,1 1 4\n",
		"out of range": "Rank,Puzzles\n1,1 1 4 14\n", "word": "Rank,Puzzles\n1,1 1 4 x\n", "ragged": "Rank,Puzzles\n1\n",
		"bare quote": "Rank,Puzzles\n1,\"1 1",
	} {
		_, err := game24.ReadPuzzles(strings.NewReader(text))
		require.ErrorIs(t, err, hone.ErrInvalid, name)
	}
	all, err := game24.ReadPuzzles(strings.NewReader("Rank,Puzzles\n1,1 1 4 6\n2,1 1 11 11\n"))
	require.NoError(t, err)
	require.Equal(t, [][]int{{1, 1, 4, 6}, {1, 1, 11, 11}}, all)
	_, err = game24.YaoPuzzles(all)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	cfg := game24.Config{
		Wide: -1, Traces: task.Traces{ProbFraction: 2, ProbNegative: -1, MaxResult: 0, MaxRetries: 99}, Yao: [][]int{{1, 2, 3}},
	}
	_, err := game24.New(cfg)
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{"wide -1", "prob_fraction 2", "prob_negative -1", "max_result 0", "max_retries 99", "[1 2 3]"} {
		require.ErrorContains(t, err, want)
	}
}

// BenchmarkStart is what a process pays before its first problem: all puzzles of training and evaluation.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, err := setup(b, game24.DefaultConfig()).Problems(hone.SplitTrain)
		require.NoError(b, err)
	}
}

func BenchmarkCheckAndVerify(b *testing.B) {
	tk := setup(b, game24.DefaultConfig())
	p, err := tk.Problem("4 5 6 10")
	require.NoError(b, err)
	completion := "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"
	b.ReportAllocs()
	trajectories := 0
	for b.Loop() {
		if len(tk.Check(p, completion)) != 4 || tk.Verify(p, completion).Outcome != hone.OutcomeRight {
			b.Fatal("wrong")
		}
		trajectories++
	}
	b.ReportMetric(float64(trajectories)/b.Elapsed().Seconds(), "trajectories/s")
}

func BenchmarkDemonstrate(b *testing.B) {
	tk := setup(b, game24.DefaultConfig())
	train, err := tk.Problems(hone.SplitTrain)
	require.NoError(b, err)
	for _, style := range []task.Style{task.StyleSolve, task.StyleWalk, task.StyleRetry, task.StyleSearch} {
		b.Run(string(style), func(b *testing.B) {
			b.ReportAllocs()
			rng := hone.Rand(1)
			for b.Loop() {
				_, err := tk.Demonstrate(train[rng.IntN(len(train))], rng, style)
				require.NoError(b, err)
			}
		})
	}
}
