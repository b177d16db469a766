package mcts_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

func TestChecklist53PolicyIsVisitsToTheInverseTemperature(t *testing.T) {
	t.Parallel()
	tree := grow(t, bandit(0, []float64{0.5, 0.25, 0.25}, []float64{0.2, 0.9, 0.4}), configured(100))
	counts := visits(tree)
	for _, temperature := range []float64{0.25, 1, 4} {
		want, sum := make([]float64, len(counts)), 0.0
		for i, n := range counts {
			want[i] = math.Pow(float64(n), 1/temperature)
			sum += want[i]
		}
		for i := range want {
			want[i] /= sum
		}
		got, err := tree.Policy(temperature)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, got, 1e-12)
	}
	got, err := tree.Policy(1e-3)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0, 1, 0}, got, 1e-12, "a small temperature does not overflow")
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err := tree.Policy(bad)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
}

func TestChecklist53ZeroTemperatureBreaksTiesByValueThenIndex(t *testing.T) {
	t.Parallel()
	// Two visits each: by value the third arm goes first, and of the equal first two the lower index.
	cases := map[string]struct {
		rewards []float64
		want    []float64
		line    []string
	}{
		"higher value": {rewards: []float64{-0.01, -0.01, 0}, want: []float64{0, 0, 1}, line: []string{"2"}},
		"lower index":  {rewards: []float64{0, 0, 0}, want: []float64{1, 0, 0}, line: []string{"0"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := grow(t, bandit(10, []float64{1, 1, 1}, c.rewards), configured(3))
			require.Equal(t, []int{1, 1, 1}, visits(tree))
			got, err := tree.Policy(0)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Equal(t, c.line, actions(tree, tree.Best()))
			require.Equal(t, tree.Best(), tree.Lines(1)[0])
		})
	}
}

func TestChecklist53VisitsThatOnlyNoiseBroughtAreTakenOut(t *testing.T) {
	t.Parallel()
	// Arm 0 is best and nearly certain; the noise is large, so that the search visits arms that the priors rule out.
	priors, rewards := []float64{0.97, 0.01, 0.01, 0.01}, []float64{1, 0, 0, 0}
	noisy := configured(200)
	noisy.NoiseFraction = 0.5
	var taken int
	for seed := range uint64(20) {
		roots := []mcts.Root[*toy]{{State: bandit(0, priors, rewards), Rng: hone.Rand(seed)}}
		trees, err := mcts.Run(t.Context(), &toys{}, roots, noisy)
		require.NoError(t, err)
		tree := trees[0]
		policy, err := tree.Policy(1)
		require.NoError(t, err)
		sum := 0.0
		for i, n := range visits(tree) {
			sum += policy[i]
			if i > 0 {
				require.LessOrEqual(t, policy[i]/policy[0], float64(n)/float64(visits(tree)[0])+1e-12)
				if n > 0 && policy[i] == 0 {
					taken++
				}
			}
			require.InDelta(t, priors[i], tree.Node(i+1).Prior, 1e-12, "reported priors are clean")
		}
		require.InDelta(t, 1, sum, 1e-12)
	}
	require.Positive(t, taken, "some arm that only noise visited is out of the target")
}

func TestNoiseComesFromTheGivenGeneratorAlone(t *testing.T) {
	t.Parallel()
	cfg := configured(100)
	cfg.NoiseFraction = 0.25
	search := func(seed uint64) []mcts.Node {
		root := bandit(0, []float64{0.4, 0.3, 0.3}, []float64{0, 0, 0})
		trees, err := mcts.Run(t.Context(), &toys{}, []mcts.Root[*toy]{{State: root, Rng: hone.Rand(seed)}}, cfg)
		require.NoError(t, err)
		return trees[0].Nodes()
	}
	require.Equal(t, search(1), search(1))
	require.NotEqual(t, search(1), search(2))

	_, err := mcts.Run(t.Context(), &toys{}, []mcts.Root[*toy]{{State: &toy{}}}, cfg)
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "root 0 has no generator")
}
