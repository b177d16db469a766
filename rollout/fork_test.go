package rollout_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task/game24"
)

// forking has trees write nothing twice.
func forking(c *rollout.Config) {
	c.Search.Forks, c.Search.Tree.Offers, c.Search.Tree.Close = true, true, true
	c.Search.Tree.Simulations = 1000
}

// distinct is the number of different tokens, each with what stands before it, of some texts.
func distinct(t *testing.T, f fixture, ends []string) int {
	t.Helper()
	seen := map[string]bool{}
	for _, text := range ends {
		ids, err := f.script.tokenizer.Encode(strings.TrimSuffix(text, "␄"))
		require.NoError(t, err)
		if strings.HasSuffix(text, "␄") {
			ids = append(ids, f.script.tokenizer.EOS())
		}
		for i := range ids {
			key := ""
			for _, id := range ids[:i+1] {
				key += string(rune('A' + id))
			}
			seen[key] = true
		}
	}
	return len(seen)
}

func TestForksWriteEveryLineOfAPolicyAndNoTokenTwice(t *testing.T) {
	t.Parallel()
	for _, leaves := range []int{1, 8} {
		f := setup(t, func(c *rollout.Config) {
			forking(c)
			c.Search.Tree.Leaves = leaves
		})
		found, err := f.roller.Search(t.Context(), rollout.SearchInput{
			Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}},
			Judge: func(hone.Problem, string) float64 { return 0 },
		})
		require.NoError(t, err)
		tree := found[0].Tree
		priors := map[string]float64{}
		for _, n := range tree[1:] {
			if n.Parent == 0 {
				priors[n.Action] = n.Prior
			}
		}
		require.Len(t, priors, 3)
		for step, p := range map[string]float64{bad1: 0.6, good1: 0.3, untrue: 0.1} {
			require.InDelta(t, p, priors[strings.TrimSpace(step)], 1e-6, "the product of its tokens' probabilities")
		}
		lines := []string{bad1 + bad2 + bad3 + wrong, good1 + good2 + good3 + right, untrue + "␄"}
		require.Equal(t, distinct(t, f, lines), found[0].Work.Generated)
		require.Less(t, found[0].Work.Simulations, 1000, "the tree ends when it knows all")
	}
}

func TestALineEndsWhereItWasWrittenBefore(t *testing.T) {
	t.Parallel()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	problem, err := game.Problem("1 2 3 4")
	require.NoError(t, err)
	generated := map[bool]int{}
	for _, share := range []bool{false, true} {
		policy := newLegal(t, game)
		cfg := rollout.DefaultConfig()
		forking(&cfg)
		cfg.Search.Tree.Share, cfg.Search.Tree.Simulations = share, 100_000
		cfg.Search.Tree.Normalisation, cfg.Search.Tree.CInit = mcts.NormaliseNone, 20
		roller, err := rollout.New(policy, policy.tokenizer, game, cfg)
		require.NoError(t, err)
		found, err := roller.Search(t.Context(), rollout.SearchInput{
			Slots: []rollout.Slot{{Problem: problem}}, Judge: func(hone.Problem, string) float64 { return 0 },
		})
		require.NoError(t, err)
		generated[share] = found[0].Work.Generated
		require.Less(t, found[0].Work.Simulations, 100_000, "all of the puzzle is known")
	}
	t.Logf("all additions and multiplications of a puzzle: %d tokens, where states are shared %d", generated[false], generated[true])
	require.Less(t, generated[true], generated[false]*2/3)
}

// All that solves a puzzle ends in one state, and what is right to answer there depends on the way. A way that is answered wrongly takes
// nothing from another.
func TestStatesBeforeTheAnswerAreNotShared(t *testing.T) {
	t.Parallel()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	problem, err := game.Problem("1 2 3 4")
	require.NoError(t, err)
	policy := &script{tokenizer: token.Arithmetic(), values: map[string]float32{}, next: map[string][]move{}}
	likelier := []string{"1 * 2 = 2 (left: 2 3 4)\n", "2 * 3 = 6 (left: 4 6)\n", "4 * 6 = 24 (left: 24)\n", "Answer: 1 + 2 + 3 + 4 = 10\n"}
	other := []string{"3 * 4 = 12 (left: 1 2 12)\n", "1 * 2 = 2 (left: 2 12)\n", "2 * 12 = 24 (left: 24)\n", "Answer: (3 * 4) * 1 * 2 = 24\n"}
	for _, way := range [][]string{likelier, other} {
		for i, step := range way[1:] {
			policy.next[problem.Prompt+strings.Join(way[:i+1], "")] = []move{{step: step, prob: 1}}
		}
	}
	policy.next[problem.Prompt] = []move{{step: likelier[0], prob: 0.6}, {step: other[0], prob: 0.4}}
	roller, err := rollout.New(policy, policy.tokenizer, game, rollout.DefaultConfig())
	require.NoError(t, err)
	for _, mode := range []rollout.Mode{rollout.ModePUCT, rollout.ModeGumbel} {
		got, err := roller.Evaluate(t.Context(), rollout.EvaluateInput{
			Problems: []hone.Problem{problem}, Mode: mode, Budget: 500, Judge: fixture{task: game}.judge,
		})
		require.NoError(t, err)
		require.Equal(t, strings.Join(other, ""), got.Answers[0].Completion, "%s", mode)
	}
}

// At equal tokens a search finds a sum or product of 24 where best-of-n, which writes lines again that it wrote before, doesn't yet.
func TestSearchSolvesMoreThanBestOfNWithinEqualTokens(t *testing.T) {
	t.Parallel()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	held, err := game.Problems(hone.SplitHeldOut)
	require.NoError(t, err)
	policy := newLegal(t, game)
	roller, err := rollout.New(policy, policy.tokenizer, game, rollout.DefaultConfig())
	require.NoError(t, err)
	reached := func(_ hone.Problem, completion string) float64 {
		if strings.Contains(completion, "(left: 24)") {
			return 1
		}
		return 0
	}
	for _, budget := range []int{300, 1200} {
		solved := map[rollout.Mode]int{}
		for _, mode := range []rollout.Mode{rollout.ModeBestOf, rollout.ModePUCT, rollout.ModeGumbel} {
			got, err := roller.Evaluate(t.Context(), rollout.EvaluateInput{
				Problems: held[:120], Mode: mode, Budget: budget, Seed: 1, Judge: reached,
			})
			require.NoError(t, err)
			for _, a := range got.Answers {
				solved[mode] += int(reached(a.Problem, a.Completion))
			}
		}
		t.Logf("within %d tokens, of 120: %v", budget, solved)
		require.Greater(t, solved[rollout.ModePUCT], solved[rollout.ModeBestOf])
		require.Greater(t, solved[rollout.ModeGumbel], solved[rollout.ModeBestOf])
	}
}

func TestPriorsHaveATemperature(t *testing.T) {
	t.Parallel()
	for _, tau := range []float64{0, 1, 4, 0.5} {
		f := setup(t, func(c *rollout.Config) {
			forking(c)
			c.Search.PriorTemperature = tau
		})
		found, err := f.roller.Search(t.Context(), rollout.SearchInput{
			Origin: f.origin(), Slots: []rollout.Slot{{Problem: f.problem}}, Judge: func(hone.Problem, string) float64 { return 0 },
		})
		require.NoError(t, err)
		power := 1.0
		if tau > 0 {
			power = 1 / tau
		}
		seen := 0
		for _, n := range found[0].Tree[1:] {
			for step, p := range map[string]float64{bad1: 0.6, good1: 0.3, untrue: 0.1} {
				if n.Parent == 0 && n.Action == strings.TrimSpace(step) {
					require.InDelta(t, math.Pow(p, power), n.Prior, 1e-6, "%s at %v", step, tau)
					seen++
				}
			}
		}
		require.Equal(t, 3, seen)
	}
	for _, tau := range []float64{-1, math.Inf(1), math.NaN()} {
		cfg := rollout.DefaultConfig().Search
		cfg.PriorTemperature = tau
		require.ErrorContains(t, cfg.Validate(), "prior_temperature")
	}
}

func TestForksNeedOffersAndProbabilities(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*rollout.SearchConfig){
		func(c *rollout.SearchConfig) { c.Forks = true },
		func(c *rollout.SearchConfig) { c.Tree.Offers = true },
		func(c *rollout.SearchConfig) { c.Forks, c.Tree.Offers, c.LengthNormalised = true, true, true },
	} {
		cfg := rollout.DefaultConfig().Search
		change(&cfg)
		require.ErrorIs(t, cfg.Validate(), hone.ErrInvalid)
	}
}
