package rollout_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/game24"
)

func TestNoWaySpendsMoreThanItsBudget(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	for _, mode := range rollout.Spending() {
		for _, budget := range []int{1, 7, 50, 180, 700} {
			for _, judged := range []bool{false, true} {
				f.script.written = 0
				in := rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: mode, Budget: budget, Seed: 3}
				if judged {
					in.Leaves = 16 // which trees alone know
				}
				if judged {
					in.Judge = f.judge
				}
				last := 0
				in.Progress = func(done, total int) {
					require.GreaterOrEqual(t, done, last)
					require.Equal(t, budget, total)
					last = done
				}
				got, err := f.roller.Evaluate(t.Context(), in)
				require.NoError(t, err, "%s with %d tokens", mode, budget)
				require.LessOrEqual(t, got.Generated(), budget, "%s with %d tokens", mode, budget)
				if mode == rollout.ModePUCT || mode == rollout.ModeGumbel { // which put down the tokens that they fork at themselves
					require.GreaterOrEqual(t, got.Generated(), f.script.written)
				} else {
					require.Equal(t, f.script.written, got.Generated(), "%s: every token that was written counts", mode)
				}
				require.Equal(t, budget, last)
			}
		}
	}
}

func TestJudgedWaysFindTheLineThatGreedyMissesAndStopThere(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	for _, mode := range rollout.Spending() {
		if mode == rollout.ModeMajority {
			continue // it asks no judge
		}
		got, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{
			Problems: []hone.Problem{f.problem}, Mode: mode, Budget: 4000, Judge: f.judge,
		})
		require.NoError(t, err)
		require.Equal(t, good1+good2+good3+right, got.Answers[0].Completion, "%s", mode)
		require.Less(t, got.Generated(), 2000, "%s goes on after it found the answer", mode)
	}
}

func TestMajorityTakesTheAnswerOfMost(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	judged := 0
	got, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{
		Problems: []hone.Problem{f.problem}, Mode: rollout.ModeMajority, Budget: 3000,
		Judge: func(hone.Problem, string) float64 { judged++; return 1 },
	})
	require.NoError(t, err)
	require.Equal(t, bad1+bad2+bad3+wrong, got.Answers[0].Completion, "six in ten give it")
	require.Zero(t, judged)
	require.Greater(t, got.Generated(), 2500)
}

func TestValuesGuideWaysWithoutAJudge(t *testing.T) {
	t.Parallel()
	for _, mode := range []rollout.Mode{
		rollout.ModeBestOf, rollout.ModeBeam, rollout.ModeLookahead, rollout.ModePUCT, rollout.ModeGumbel,
	} {
		f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 8 })
		for _, text := range []string{good1, good1 + good2, good1 + good2 + good3, good1 + good2 + good3 + right} {
			f.script.values[prompt+text] = 0.9
		}
		got, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: mode, Budget: 2500})
		require.NoError(t, err)
		require.Equal(t, good1+good2+good3+right, got.Answers[0].Completion, "%s", mode)
	}
}

func TestSpendingDoesNotDependOnNeighbours(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	for _, mode := range rollout.Spending() {
		other, err := f.task.Problem("1 2 3 4")
		require.NoError(t, err)
		in := rollout.EvaluateInput{Mode: mode, Budget: 300, Seed: 5, Judge: f.judge}
		in.Problems = []hone.Problem{f.problem, other}
		together, err := f.roller.Evaluate(t.Context(), in)
		require.NoError(t, err)
		for i, p := range []hone.Problem{f.problem, other} {
			in.Problems = []hone.Problem{p}
			alone, err := f.roller.Evaluate(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, alone.Answers[0], together.Answers[i], "%s", mode)
		}
	}
}

func TestABudgetIsNeeded(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, mode := range rollout.Spending() {
		_, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: mode})
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, "budget of 0 tokens")
	}
}

// countingTask counts how often the verifier is asked.
type countingTask struct {
	task.Task
	verified int
}

func (c *countingTask) Verify(p hone.Problem, completion string) task.Verdict {
	c.verified++
	return c.Task.Verify(p, completion)
}

// The verifier that reports the accuracy is asked for each answer once, after the search, which ends in the same answers whatever it
// would say.
func TestChecklist55TheReportingVerifierTakesNoPartInTheSearch(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	for _, mode := range rollout.Spending() {
		counting := &countingTask{Task: f.task}
		cfg := rollout.DefaultConfig()
		cfg.Search.Candidates = 4
		roller, err := rollout.New(f.script, f.script.tokenizer, counting, cfg)
		require.NoError(t, err)
		_, err = roller.Evaluate(t.Context(), rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: mode, Budget: 400})
		require.NoError(t, err)
		require.Equal(t, 1, counting.verified, "%s", mode)
	}
}

func TestSolveSpendsABudget(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	for _, mode := range rollout.Spending() {
		got, err := f.roller.Solve(t.Context(), rollout.SolveInput{
			Origin: f.origin(), Problem: f.problem, Mode: mode, Budget: 900, Judge: f.judge, Lines: 2,
		})
		require.NoError(t, err)
		require.LessOrEqual(t, got.Work.Generated, 900)
		require.Len(t, got.Trajectory.Logp, len(got.Trajectory.Tokens))
		tree := mode == rollout.ModePUCT || mode == rollout.ModeGumbel
		require.Equal(t, tree, len(got.Lines) > 0, "%s", mode)
	}
}

func TestLikeliestContinuationIsWrittenOnceAndGivesTheFirstCandidates(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) {
		c.Search.Candidates, c.Search.Rollout, c.Search.Tree.Simulations = 1, 1, 3
	})
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge,
	})
	require.NoError(t, err)
	// With one candidate a state, the tree is the greedy line, and all of it came with the root's evaluation.
	tokens, err := f.script.tokenizer.Encode(bad1 + bad2 + bad3 + wrong)
	require.NoError(t, err)
	require.Equal(t, len(tokens)+1, found[0].Work.Generated, "the line and its end, once")
	require.Equal(t, []int{1}, f.script.calls)
	for _, n := range found[0].Tree {
		require.Zero(t, n.Raw, "the judge finds the end of the line wrong")
	}
	require.Len(t, found[0].Tree, 5)
}

// legal is a policy that knows the rules and nothing else: it writes any true and allowed step, each as likely as another.
type legal struct {
	*script
	task *game24.Task
}

func newLegal(t *testing.T, game *game24.Task) *legal {
	t.Helper()
	return &legal{script: &script{tokenizer: token.Arithmetic(), values: map[string]float32{}}, task: game}
}

func (l *legal) Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	for _, r := range requests {
		text := l.tokenizer.Decode(r.Prompt)
		l.learn(text)
	}
	return l.script.Generate(ctx, requests)
}

// learn writes down what may follow a text and all that may follow that.
func (l *legal) learn(text string) {
	if l.next == nil {
		l.next = map[string][]move{}
	}
	if _, ok := l.next[text]; ok {
		return
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	last := lines[len(lines)-1]
	if at := strings.Index(last, "(left: "); at >= 0 {
		last = strings.TrimSuffix(last[at+len("(left: "):], ")")
	} else {
		last = strings.TrimSuffix(strings.TrimPrefix(last, "Use "), " to make 24.")
	}
	steps := follow(strings.Fields(last))
	var moves []move
	for _, step := range steps {
		moves = append(moves, move{step: step, prob: 1 / float64(len(steps))})
	}
	l.next[text] = moves
	for _, step := range steps {
		l.learn(text + step)
	}
}

// follow are additions and multiplications of two of the numbers, as steps.
func follow(numbers []string) []string {
	var out []string
	value := make([]int, len(numbers))
	for i, n := range numbers {
		for _, c := range n {
			value[i] = 10*value[i] + int(c-'0')
		}
	}
	for i := range value {
		for j := i + 1; j < len(value); j++ {
			for _, op := range []string{"+", "*"} {
				result := value[i] + value[j]
				if op == "*" {
					result = value[i] * value[j]
				}
				left := []int{result}
				for k, v := range value {
					if k != i && k != j {
						left = append(left, v)
					}
				}
				slices.Sort(left)
				out = append(out, fmt.Sprintf("%d %s %d = %d (left: %s)\n", value[i], op, value[j], result,
					strings.Trim(fmt.Sprint(left), "[]")))
			}
		}
	}
	return out
}

// Orders of the same operations lead to the same numbers. Searched as a graph, a state is expanded once, and the tokens of the
// expansions that this saves are what the search may spend elsewhere.
func TestSharingStatesSavesEvaluationsOnGame24(t *testing.T) {
	t.Parallel()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	problem, err := game.Problem("1 2 3 4")
	require.NoError(t, err)
	work := map[bool]rollout.Work{}
	for _, share := range []bool{false, true} {
		policy := newLegal(t, game)
		cfg := rollout.DefaultConfig()
		cfg.Search.Candidates, cfg.Search.Tree.Simulations, cfg.Search.Tree.Share = 24, 400, share
		cfg.Search.Tree.CInit = 20 // breadth
		roller, err := rollout.New(policy, policy.tokenizer, game, cfg)
		require.NoError(t, err)
		found, err := roller.Search(t.Context(), rollout.SearchInput{
			Slots: []rollout.Slot{{Problem: problem}}, Judge: func(hone.Problem, string) float64 { return 0 },
		})
		require.NoError(t, err)
		work[share] = found[0].Work
	}
	require.Zero(t, work[false].Joined)
	require.Positive(t, work[true].Joined)
	saved := 1 - float64(work[true].Generated)/float64(work[false].Generated)
	t.Logf("%d evaluations and %d tokens without sharing, %d and %d with it: %.0f %% of the tokens saved",
		work[false].Evaluations, work[false].Generated, work[true].Evaluations, work[true].Generated, 100*saved)
	require.Greater(t, saved, 0.2)
}
