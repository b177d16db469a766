package rollout_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/countdown"
	"github.com/hone-rl/hone/task/game24"
)

// judged are trajectories of one problem with the task's own verdict.
func judged(t *testing.T, rules task.Task, key string, texts ...string) []hone.Scored {
	t.Helper()
	problem, err := rules.Problem(key)
	require.NoError(t, err)
	var out []hone.Scored
	for _, text := range texts {
		out = append(out, hone.Scored{
			Trajectory: hone.Trajectory{Problem: problem, Text: text},
			Breakdown:  hone.Breakdown{Outcome: rules.Verify(problem, text).Outcome},
		})
	}
	return out
}

// solved is what paths say, in words.
func solved(paths *rollout.Paths, p hone.Problem, state string) string {
	step, _, ok := paths.Solved(p, state)
	if !ok {
		return "unknown"
	}
	return step
}

func TestPathsRememberWhatSolvedAStateAndHowOften(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	paths := rollout.NewPaths(f.task, []hone.Problem{f.problem}, 1<<20)
	astray := good1 + "5 + 6 = 11 (left: 6 11)\n6 + 11 = 17 (left: 17)\n" + wrong
	paths.Learn(judged(t, f.task, "4 5 6 10", bad1+bad2+bad3+wrong, good1+good2+good3+right, astray))
	step, earned, ok := paths.Solved(f.problem, "5 6 6")
	require.True(t, ok)
	require.Equal(t, strings.TrimSuffix(good2, "\n"), step)
	require.InDelta(t, 0.5, earned, 1e-12, "one of two lines through it was right")
	_, earned, ok = paths.Solved(f.problem, "4 5 6 10")
	require.True(t, ok)
	require.InDelta(t, 1.0/3, earned, 1e-12)
	require.Equal(t, "unknown", solved(paths, f.problem, "6 9 10"), "it was never solved")
	require.Equal(t, "unknown", solved(paths, f.problem, "24"), "an answer speaks of its own problem")
	require.Equal(t, "unknown", solved(paths, f.problem, "7 7"))
}

func TestPathsLeaveOutWhatALineTookBack(t *testing.T) {
	t.Parallel()
	rules, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	text := "4 + 5 = 9 (left: 6 9 10)\n9 + 10 = 19 (left: 6 19)\nback (left: 4 5 6 10)\n" + good1 + untrue + good2 + good3 + right
	scored := judged(t, rules, "4 5 6 10", text)
	require.Equal(t, hone.OutcomeRight, scored[0].Breakdown.Outcome)
	problem := scored[0].Trajectory.Problem
	paths := rollout.NewPaths(rules, []hone.Problem{problem}, 1<<20)
	paths.Learn(scored)
	require.Equal(t, strings.TrimSuffix(good1, "\n"), solved(paths, problem, "4 5 6 10"))
	require.Equal(t, strings.TrimSuffix(good2, "\n"), solved(paths, problem, "5 6 6"))
	require.Equal(t, "unknown", solved(paths, problem, "6 9 10"))
}

// What was solved for training is not known of a problem that is kept for tests, and the other way round.
func TestPathsKeepTrainingAndTestsApart(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	test, err := f.task.Problem("1 5 6 6")
	require.NoError(t, err)
	paths := rollout.NewPaths(f.task, []hone.Problem{f.problem}, 1<<20)
	paths.Learn(judged(t, f.task, test.Key, "6 - 1 = 5 (left: 5 5 6)\n"))
	require.Zero(t, paths.Len(), "nothing is learned from it")
	paths.Learn(judged(t, f.task, "4 5 6 10", good1+good2+good3+right))
	require.Equal(t, 3, paths.Len())
	require.NotEqual(t, "unknown", solved(paths, f.problem, "5 6 6"))
	require.Equal(t, "unknown", solved(paths, test, "5 6 6"), "nothing is known of it")
}

func TestPathsOfAnotherTargetSayNothing(t *testing.T) {
	t.Parallel()
	rules, err := countdown.New(countdown.DefaultConfig())
	require.NoError(t, err)
	const text = "2 * 3 = 6 (left: 4 6)\n4 * 6 = 24 (left: 24)\nAnswer: 4 * (2 * 3) = 24\n"
	scored := judged(t, rules, "2 3 4 = 24", text)
	require.Equal(t, hone.OutcomeRight, scored[0].Breakdown.Outcome)
	same, err := rules.Problem("1 5 4 = 24")
	require.NoError(t, err)
	other, err := rules.Problem("2 3 4 = 10")
	require.NoError(t, err)
	paths := rollout.NewPaths(rules, []hone.Problem{scored[0].Trajectory.Problem, same, other}, 1<<20)
	paths.Learn(scored)
	require.Equal(t, "4 * 6 = 24 (left: 24)", solved(paths, same, "4 6"), "problems of one target share what is known of a state")
	require.Equal(t, "unknown", solved(paths, other, "4 6"))
}

func TestPathsForgetWhatWasSeenLeastLately(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	all := rollout.NewPaths(f.task, []hone.Problem{f.problem}, 1<<20)
	cycle := judged(t, f.task, "4 5 6 10", bad1+bad2+bad3+wrong, good1+good2+good3+right)
	all.Learn(cycle)
	require.Equal(t, 5, all.Len(), "the first state is on both lines")
	few := rollout.NewPaths(f.task, []hone.Problem{f.problem}, all.Bytes()-1)
	few.Learn(cycle)
	require.Equal(t, 4, few.Len())
	require.LessOrEqual(t, few.Bytes(), all.Bytes()-1)
	require.NotEqual(t, "unknown", solved(few, f.problem, "6 30"), "the newest stays")
	none := rollout.NewPaths(f.task, []hone.Problem{f.problem}, 1)
	none.Learn(cycle)
	require.Zero(t, none.Len())
}

// The policy would hardly write the steps that solve the puzzle; remembered, they cost no token.
func TestRememberedStepsAreCandidatesAndCostNoToken(t *testing.T) {
	t.Parallel()
	search := func(paths func(fixture) *rollout.Paths) rollout.Found {
		f := setup(t, func(c *rollout.Config) {
			c.Search.Candidates, c.Search.Tree.Simulations = 1, 12
			c.Search.Cache = rollout.CacheConfig{Bytes: 1 << 20, Cycles: 1, Share: 0.5}
		})
		found, err := f.roller.Search(t.Context(), rollout.SearchInput{
			Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: f.judge, Paths: paths(f),
		})
		require.NoError(t, err)
		return found[0]
	}
	alone := search(func(fixture) *rollout.Paths { return nil })
	require.Equal(t, bad1+bad2+bad3+wrong, alone.Trajectory.Text, "one candidate a state is what greedy decoding writes")
	require.Zero(t, alone.Work.Recalled)
	with := search(func(f fixture) *rollout.Paths {
		paths := rollout.NewPaths(f.task, []hone.Problem{f.problem}, 1<<20)
		paths.Learn(judged(t, f.task, "4 5 6 10", good1+good2+good3+right))
		return paths
	})
	require.Equal(t, good1+good2+good3+right, with.Trajectory.Text)
	require.Equal(t, 3, with.Work.Recalled, "the root and two states on the way")
	require.Less(t, with.Work.Generated, 2*alone.Work.Generated+len(with.Trajectory.Tokens), "no candidate was written for it")
	untouched := search(func(f fixture) *rollout.Paths { return rollout.NewPaths(f.task, nil, 1<<20) })
	require.Equal(t, alone, untouched, "paths that hold nothing change nothing")
}

func TestCacheIsHeldToWhatItCanDo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rollout.SearchConfig){
		"bytes -1":  func(c *rollout.SearchConfig) { c.Cache.Bytes = -1 },
		"cycles 0":  func(c *rollout.SearchConfig) { c.Cache.Bytes = 1 },
		"share 1.5": func(c *rollout.SearchConfig) { c.Cache.Share = 1.5 },
		"with forks:": func(c *rollout.SearchConfig) {
			c.Cache.Bytes, c.Cache.Cycles, c.Forks, c.Tree.Offers = 9, 1, true, true
		},
	} {
		c := rollout.DefaultConfig().Search
		change(&c)
		err := c.Validate()
		require.ErrorIs(t, err, hone.ErrInvalid, name)
		require.ErrorContains(t, err, name)
	}
}
