package rollout_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/rollout"
)

func TestSearchFindsTheLineThatGreedyMisses(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	greedy, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: rollout.ModeGreedy})
	require.NoError(t, err)
	require.Equal(t, bad1+bad2+bad3+wrong, greedy.Answers[0].Completion)
	require.Equal(t, hone.OutcomeWrong, greedy.Answers[0].Verdict.Outcome)
	require.Zero(t, greedy.Accuracy())

	searched, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{
		Problems: []hone.Problem{f.problem}, Mode: rollout.ModeSearch, Judge: f.judge,
	})
	require.NoError(t, err)
	require.Equal(t, good1+good2+good3+right, searched.Answers[0].Completion)
	require.InDelta(t, 1, searched.Accuracy(), 0)
	require.Equal(t, 1, searched.Count(hone.OutcomeRight))
	require.Greater(t, searched.Generated(), searched.Tokens())
	require.Equal(t, greedy.Generated(), greedy.Tokens())
}

func TestSearchIsGuidedByTheValueHeadWhereThereIsNoJudge(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.script.values[prompt+good1] = 0.9
	f.script.values[prompt+good1+good2] = 5 // clamped to 1
	f.script.values[prompt+good1+good2+good3] = 0.9
	f.script.values[prompt+good1+good2+good3+right] = 0.9
	searched, err := f.roller.Evaluate(t.Context(), rollout.EvaluateInput{Problems: []hone.Problem{f.problem}, Mode: rollout.ModeSearch})
	require.NoError(t, err)
	require.Equal(t, good1+good2+good3+right, searched.Answers[0].Completion)
}

func TestSearchMakesATrajectoryOfItsBestLine(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.script.values[prompt+good1] = 0.5
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem, Index: 5}}, Judge: f.judge,
	})
	require.NoError(t, err)
	require.Len(t, found, 1)
	got := found[0].Trajectory
	require.Equal(t, hone.TrajectoryID{Run: "run", Iteration: 3, Sample: 40}, got.ID)
	require.Equal(t, hone.Seed(7, "search", 3, "game24:4 5 6 10", 40), got.Seed)
	require.Equal(t, hone.SourceSearch, got.Source)
	require.Equal(t, 3, got.Behaviour)
	require.Equal(t, "script", got.Fingerprint)
	require.Equal(t, good1+good2+good3+right, got.Text)
	require.Equal(t, hone.FinishStop, got.Finish)
	require.Zero(t, got.Bootstrap)
	require.Equal(t, f.script.tokenizer.EOS(), got.Tokens[len(got.Tokens)-1])
	require.Len(t, got.Steps, 4)
	require.Len(t, got.Logp, len(got.Tokens))
	require.InDelta(t, 0.5, got.Values[got.Steps[1].From], 0)
}

func TestTreeTellsWhatWasConsidered(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 40 })
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{
		Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge,
	})
	require.NoError(t, err)
	tree, work := found[0].Tree, found[0].Work
	priors := map[string]float64{}
	for _, n := range tree {
		if n.Parent == 0 {
			priors[n.Action] = n.Prior
		}
		require.Equal(t, n.Terminal, n.Visits > 0 && n.Depth > 0 && len(childrenOf(tree, n.Node)) == 0)
	}
	require.Len(t, priors, 3, "forty candidates are three steps")
	require.InDelta(t, 0.6, priors[strings.TrimSpace(bad1)], 1e-6, "a step sampled often keeps its own probability")
	require.InDelta(t, 0.3, priors[strings.TrimSpace(good1)], 1e-6)
	require.InDelta(t, 0.1, priors[strings.TrimSpace(untrue)], 1e-6)
	require.Equal(t, 32, work.Simulations)
	require.Equal(t, 33, tree[0].Visits)
	require.Greater(t, work.Generated, 40*len(found[0].Trajectory.Tokens)/2, "all candidates are paid for")
}

func childrenOf(tree []mcts.Node, parent int) []int {
	var out []int
	for _, n := range tree {
		if n.Parent == parent {
			out = append(out, n.Node)
		}
	}
	return out
}

func TestPruningMasksUntrueStepsOnlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	for name, prune := range map[string]bool{"not pruned": false, "pruned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *rollout.Config) { c.Search.Candidates, c.Search.Prune = 40, prune })
			found, err := f.roller.Search(t.Context(), rollout.SearchInput{Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}})
			require.NoError(t, err)
			for _, n := range found[0].Tree {
				want := prune && n.Action == strings.TrimSpace(untrue)
				require.Equal(t, want, n.Masked, n.Action)
				if want {
					require.Zero(t, n.Visits)
				}
			}
		})
	}
}

func TestTreesAdvanceTogetherAndDoNotDependOnTheirNeighbours(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	other, err := f.task.Problem("1 2 3 4")
	require.NoError(t, err)
	in := rollout.SearchInput{Origin: f.origin(), Judge: f.judge}
	in.Slots = []rollout.Slot{{Problem: f.problem, Index: 0}, {Problem: other, Index: 1}, {Problem: f.problem, Index: 2}}
	together, err := f.roller.Search(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 12, f.script.calls[0], "the first wave expands all three roots")
	for i, slot := range in.Slots {
		in.Slots = []rollout.Slot{slot}
		alone, err := f.roller.Search(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, alone[0], together[i])
	}
	require.NotEqual(t, together[0].Trajectory.Seed, together[2].Trajectory.Seed)
}

func TestBatchBoundsTheDecodersCalls(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Candidates, c.Batch = 4, 9 })
	in := rollout.SearchInput{Origin: f.origin(), Judge: f.judge}
	for i := range 5 {
		in.Slots = append(in.Slots, rollout.Slot{Problem: f.problem, Index: i})
	}
	var last, total int
	in.Progress = func(done, all int) {
		require.GreaterOrEqual(t, done, last)
		last, total = done, all
	}
	small, err := f.roller.Search(t.Context(), in)
	require.NoError(t, err)
	for _, n := range f.script.calls {
		require.LessOrEqual(t, n, 8)
	}
	require.Equal(t, 5*33, total)
	require.Equal(t, total, last)

	large := setup(t, func(c *rollout.Config) { c.Search.Candidates = 4 })
	in.Progress = nil
	want, err := large.roller.Search(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, want, small)
}

func TestOpenLinesAreCompletedGreedily(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *rollout.Config) { c.Search.Tree.Simulations = 1 })
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}})
	require.NoError(t, err)
	require.Equal(t, bad1+bad2+bad3+wrong, found[0].Trajectory.Text, "one simulation follows the prior, and greedy takes it to its end")
	require.Equal(t, hone.FinishStop, found[0].Trajectory.Finish)
}

func TestTokenLimitsCutLines(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*rollout.Config){
		"within a step":       func(c *rollout.Config) { c.Search.StepTokens = 5 },
		"within a completion": func(c *rollout.Config) { c.MaxTokens = 20 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, change)
			found, err := f.roller.Search(t.Context(), rollout.SearchInput{Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}})
			require.NoError(t, err)
			got := found[0].Trajectory
			require.Equal(t, hone.FinishLength, got.Finish)
			require.LessOrEqual(t, len(got.Tokens), 20)
			require.Equal(t, len(got.Tokens), got.Steps[len(got.Steps)-1].To)
			marked := false
			for _, n := range found[0].Tree {
				marked = marked || n.Terminal && strings.HasSuffix(n.Action, "…") && n.Raw == 0
			}
			require.True(t, marked, "a line that was cut ends its branch, worth the least")
		})
	}
}

func TestAFullContextEndsALine(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tokens, err := f.script.tokenizer.Encode(prompt + bad1)
	require.NoError(t, err)
	f.script.context = len(tokens)
	found, err := f.roller.Search(t.Context(), rollout.SearchInput{Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}})
	require.NoError(t, err)
	require.Equal(t, bad1, found[0].Trajectory.Text)
	require.Equal(t, hone.FinishLength, found[0].Trajectory.Finish)
	for _, n := range found[0].Tree {
		require.Equal(t, n.Depth == 1 && n.Visits > 0, n.Terminal)
	}
}

func TestSolveReturnsTheTreesBestLines(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	in := rollout.SolveInput{Origin: f.origin(), Problem: f.problem, Mode: rollout.ModeSearch, Judge: f.judge, Lines: 2}
	got, err := f.roller.Solve(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, hone.OutcomeRight, got.Verdict.Outcome)
	require.Len(t, got.Lines, 2)
	best := got.Lines[0]
	require.Equal(t, strings.TrimSpace(good1), best[0].Step)
	require.Equal(t, strings.TrimSpace(right), best[len(best)-1].Step)
	require.True(t, best[len(best)-1].Terminal)
	require.InDelta(t, 1, best[len(best)-1].Q, 0)
	require.Greater(t, best[0].Visits, got.Lines[1][0].Visits)

	in.Mode = rollout.ModeGreedy
	got, err = f.roller.Solve(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, hone.OutcomeWrong, got.Verdict.Outcome)
	require.Empty(t, got.Lines)
	require.Equal(t, len(got.Trajectory.Tokens), got.Work.Generated)
	require.Len(t, got.Trajectory.Steps, 4)
}

func TestSearchRefusesWhatIsNotANumberAndStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	in := rollout.SearchInput{Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}}
	in.Judge = func(hone.Problem, string) float64 { return math.NaN() }
	_, err := f.roller.Search(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNonFinite)

	in.Judge = nil
	f.script.values[prompt] = float32(math.NaN())
	_, err = f.roller.Search(t.Context(), in)
	require.ErrorIs(t, err, hone.ErrNonFinite)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.roller.Search(ctx, in)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.roller.Sample(ctx, rollout.SampleInput{Origin: f.origin(), Slots: in.Slots})
	require.ErrorIs(t, err, context.Canceled)

	_, err = f.roller.Evaluate(t.Context(), rollout.EvaluateInput{Mode: "guess"})
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = f.roller.Solve(t.Context(), rollout.SolveInput{Problem: f.problem})
	require.ErrorIs(t, err, hone.ErrInvalid)
}
