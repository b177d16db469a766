package numbers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

// TestEveryDemonstratedStepIsGood draws games of both kinds, styles and settings.
func TestEveryDemonstratedStepIsGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringOfN(rapid.RuneFrom([]rune("123456789")), 2, 4, -1).Draw(t, "digits")
		kind := rapid.SampledFrom([]string{"=", "?"}).Draw(t, "kind")
		key := digits + kind + rapid.SampledFrom([]string{"24", "10", "0", "1/2"}).Draw(t, "target")
		style := rapid.SampledFrom([]task.Style{task.StyleSolve, task.StyleWalk, task.StyleRetry, task.StyleSearch}).Draw(t, "style")
		traces := task.Traces{
			ProbFraction: rapid.Float64Range(0, 0.5).Draw(t, "fraction"), ProbNegative: rapid.Float64Range(0, 0.5).Draw(t, "negative"),
			MaxResult: rapid.IntRange(1, 300).Draw(t, "max"), MaxRetries: rapid.IntRange(1, 4).Draw(t, "retries"),
		}
		seed := rapid.Uint64().Draw(t, "seed")
		r, p := setup(t, key)
		text, err := r.Demonstrate(p, hone.Rand(seed), style, traces)
		again, _ := r.Demonstrate(p, hone.Rand(seed), style, traces)
		require.Equal(t, text, again, "the same for the same generator")
		game, _ := ofKey(key)
		if solvable := len(game.cores(&game.Numbers)) > 0; !solvable && style != task.StyleWalk {
			require.ErrorIs(t, err, hone.ErrNotFound)
			return
		}
		require.NoError(t, err)
		checks := r.Check(p, text)
		for _, c := range checks {
			require.True(t, c.Good(), "%s\n%s", text, c.Reason)
		}
		require.Equal(t, task.StepAnswer, checks[len(checks)-1].Kind)
		require.True(t, strings.HasSuffix(text, "\n"))
		switch style {
		case task.StyleSolve:
			require.Equal(t, hone.OutcomeRight, r.Verify(p, text).Outcome)
			require.Len(t, checks, r.Need(p))
		case task.StyleRetry:
			require.Equal(t, hone.OutcomeRight, r.Verify(p, text).Outcome)
			require.LessOrEqual(t, strings.Count(text, "back"), traces.MaxRetries)
		case task.StyleSearch:
			require.Equal(t, hone.OutcomeRight, r.Verify(p, text).Outcome)
			requireSearch(t, &game, checks)
		}
	})
}

// requireSearch finds no state entered twice but by going back, and none left for a better one from which the target was within reach.
func requireSearch(t *rapid.T, game *Game, checks []task.StepCheck) {
	entered := map[string]bool{game.Numbers.String(): true}
	for i, c := range checks {
		switch c.Kind {
		case task.StepOperation:
			require.False(t, entered[c.State], "%s is entered twice", c.State)
			entered[c.State] = true
		case task.StepBack:
			left, err := parseLine("back (left: " + checks[i-1].State + ")")
			require.NoError(t, err)
			require.Empty(t, game.cores(&left.left), "%s was given up", checks[i-1].State)
		}
	}
}

func TestSearchIsOfManyLengths(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=24")
	traces := task.DefaultTraces()
	traces.MaxRetries = 24
	var none, many int
	for seed := range uint64(300) {
		text, err := r.Demonstrate(p, hone.Rand(seed), task.StyleSearch, traces)
		require.NoError(t, err)
		switch backs := strings.Count(text, "back"); {
		case backs == 0:
			none++
		case backs > 8:
			many++
		}
	}
	require.Greater(t, none, 20)
	require.Greater(t, many, 20)
}

func TestRetryGoesBackAndWalkSeldomSolves(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=24")
	solved, kinds := 0, map[string]int{}
	for seed := range uint64(300) {
		text, err := r.Demonstrate(p, hone.Rand(seed), task.StyleRetry, task.DefaultTraces())
		require.NoError(t, err)
		require.Contains(t, text, "back (left: ")
		kinds["retry "+text]++
		text, err = r.Demonstrate(p, hone.Rand(seed), task.StyleWalk, task.DefaultTraces())
		require.NoError(t, err)
		kinds["walk "+text]++
		if r.Verify(p, text).Outcome == hone.OutcomeRight {
			solved++
		}
	}
	require.Less(t, solved, 60, "a walk does not aim")
	require.Greater(t, len(kinds), 450, "demonstrations vary")
}

func TestWalkPrefersSmallIntegers(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=24")
	count := func(traces task.Traces) (odd, all int) {
		for seed := range uint64(200) {
			text, err := r.Demonstrate(p, hone.Rand(seed), task.StyleWalk, traces)
			require.NoError(t, err)
			for _, s := range strings.Split(text, "\n")[:3] {
				l, err := parseLine(s)
				require.NoError(t, err)
				all++
				if !l.result.IsInt() || l.result.Sign() < 0 {
					odd++
				}
			}
		}
		return odd, all
	}
	traces := task.DefaultTraces()
	traces.ProbFraction, traces.ProbNegative = 0, 0
	odd, _ := count(traces)
	require.Zero(t, odd)
	odd, all := count(task.DefaultTraces())
	require.InDelta(t, 0.1, float64(odd)/float64(all), 0.06)
}

func TestDemonstrateRefusesUnknownStyle(t *testing.T) {
	t.Parallel()
	r, p := setup(t, "4569=24")
	_, err := r.Demonstrate(p, hone.Rand(1), "dance", task.DefaultTraces())
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, `style "dance": want "solve", "walk", "retry" or "search"`)
	_, err = r.Demonstrate(hone.Problem{Task: "digits", Key: "?"}, hone.Rand(1), task.StyleWalk, task.DefaultTraces())
	require.ErrorIs(t, err, hone.ErrInvalid)
}
