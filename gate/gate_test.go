package gate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/gate"
)

// Values of a table of the binomial distribution with probability 1/2.
func TestPairedTestIsTheBinomialTail(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		wins, losses int
		p            float64
	}{
		{0, 0, 1},
		{0, 5, 1},
		{1, 0, 0.5},
		{5, 0, 1.0 / 32},
		{5, 1, 7.0 / 64},
		{10, 2, 79.0 / 4096},
		{15, 5, 0.020694732666},
		{60, 40, 0.028443966820}, // Motulsky's table gives 0.0284
	} {
		p := gate.Pairs{Wins: x.wins, Losses: x.losses, Both: 7, Neither: 9}
		require.InDelta(t, x.p, p.Test(), 1e-9, "%+v", x)
	}
}

func TestPairsCountWhoWasRight(t *testing.T) {
	t.Parallel()
	p, err := gate.Pair([]bool{true, true, false, false, true}, []bool{true, false, true, false, true})
	require.NoError(t, err)
	require.Equal(t, gate.Pairs{Wins: 1, Losses: 1, Both: 2, Neither: 1}, p)
	require.Zero(t, p.Gain())
	_, err = gate.Pair([]bool{true}, nil)
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = gate.Pair(nil, nil)
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func TestMoreWinsAreNeverLessSure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := gate.Pairs{Wins: rapid.IntRange(0, 300).Draw(t, "wins"), Losses: rapid.IntRange(0, 300).Draw(t, "losses")}
		more := p
		more.Wins++
		a, b := p.Test(), more.Test()
		if a < 0 || a > 1 || b > a+1e-12 {
			t.Fatalf("%+v: %v, %+v: %v", p, a, more, b)
		}
	})
}

func problems(prompts ...string) []hone.Problem {
	out := make([]hone.Problem, len(prompts))
	for i, p := range prompts {
		out[i] = hone.Problem{Task: "game24", Key: p, Prompt: p}
	}
	return out
}

// Two bins with 2 and 6 of 8 against 4 and 4 of 8, each with a half added.
func TestDivergenceOfKnownDistributions(t *testing.T) {
	t.Parallel()
	old := problems("1 1", "7 7", "7 7", "7 7") // numbers: 2 ones and 6 sevens
	now := problems("1 7", "1 7", "1 7", "1 7") // 4 and 4
	drifts := gate.Compare(old, now)
	require.Len(t, drifts, 3)
	p, q := []float64{4.5 / 9, 4.5 / 9}, []float64{2.5 / 9, 6.5 / 9}
	want := p[0]*math.Log(p[0]/q[0]) + p[1]*math.Log(p[1]/q[1])
	require.InDelta(t, 0.1100, want, 5e-5)
	require.Equal(t, "numbers", drifts[0].Feature)
	require.InDelta(t, want, drifts[0].KL, 1e-12)
	require.InDelta(t, 0.5*(1.0/8+1.0/8), drifts[0].Expected, 1e-12)
	require.Equal(t, 2, drifts[0].Bins)
	for i, name := range []string{"count", "length"} { // one bin each
		require.Equal(t, gate.Drift{Feature: name, Bins: 1}, drifts[i+1])
	}
	require.InDelta(t, want, gate.Most(drifts), 1e-12)
	require.Empty(t, gate.Compare(nil, now))
	require.Zero(t, gate.Most(nil))
}

func TestFeaturesOfPrompts(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		old, now string
		moved    string // the features that move
	}{
		"other numbers":             {"4 5 6 10", "4 5 6 11", "numbers"},
		"numbers beyond the fine":   {"1000 7", "1001 7", ""},
		"numbers beyond 64 bits":    {"7 99999999999999999999999", "7 99999999999999999999998", ""},
		"more numbers":              {"4 4", "4 4 4", "count"},
		"longer words":              {"four apples", strings.Repeat("x", 20), "length"},
		"longer beyond the eighths": {strings.Repeat("x", 130), strings.Repeat("x", 250), ""},
		"nothing":                   {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var moved []string
			for _, d := range gate.Compare(problems(x.old), problems(x.now)) {
				if d.KL > 0 {
					moved = append(moved, d.Feature)
				}
			}
			require.Equal(t, x.moved, strings.Join(moved, " "))
		})
	}
}

// Where nothing has moved the divergence is about what is said to be expected, and where something has it is far above.
func TestDriftIsToldFromNoise(t *testing.T) {
	t.Parallel()
	draw := func(name string, n, from int) []hone.Problem {
		rng := hone.Rand(hone.Seed(1, name))
		var out []string
		for range n {
			out = append(out, fmt.Sprint(from+rng.IntN(13), " ", from+rng.IntN(13)))
		}
		return problems(out...)
	}
	var sum, expected float64
	const trials = 200
	for i := range trials {
		d := gate.Compare(draw(fmt.Sprint("old", i), 300, 1), draw(fmt.Sprint("new", i), 200, 1))[0]
		sum += d.KL
		expected += d.Expected
	}
	require.InEpsilon(t, expected/trials, sum/trials, 0.15)
	d := gate.Compare(draw("old", 300, 1), draw("new", 200, 4))[0]
	require.Greater(t, d.KL, 20*d.Expected)
}
