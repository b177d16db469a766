package kernel_test

import (
	"math"
	"slices"
	"sort"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// slowRoute is one token's route in float64: the probabilities of all experts, those chosen and their weights.
func slowRoute(r kernel.Router, x []float32) (probs []float64, chosen []int, weights []float64) {
	logits, total := make([]float64, r.Experts), 0.0
	for e := range logits {
		for j, v := range x {
			logits[e] += float64(v) * float64(r.Gate[e*len(x)+j])
		}
		total += math.Exp(logits[e])
		chosen = append(chosen, e)
	}
	for e := range logits {
		probs = append(probs, math.Exp(logits[e])/total)
	}
	score := func(e int) float64 {
		if r.Bias == nil {
			return probs[e]
		}
		return probs[e] + float64(r.Bias[e])
	}
	sort.SliceStable(chosen, func(i, j int) bool { return score(chosen[i]) > score(chosen[j]) })
	chosen, total = chosen[:r.TopK], 0
	for _, e := range chosen {
		total += probs[e]
	}
	for _, e := range chosen {
		weights = append(weights, probs[e]/total)
	}
	return probs, chosen, weights
}

func TestRouteAgreesWithFloat64(t *testing.T) {
	t.Parallel()
	const n, width = 300, 24
	for name, r := range map[string]kernel.Router{
		"two of eight":   {Experts: 8, TopK: 2},
		"biased":         {Experts: 8, TopK: 2, Bias: normal(rng("bias"), 8)},
		"odd number":     {Experts: 5, TopK: 3},
		"all":            {Experts: 3, TopK: 3},
		"many of plenty": {Experts: 67, TopK: 6, Bias: make([]float32, 67)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.Gate = normal(rng("gate", name), r.Experts*width)
			onEach(t, func(t *testing.T, s *kernel.Set) {
				x, routes := normal(rng("x", name), n*width), kernel.NewRoutes(n, r.Experts, r.TopK)
				s.Route(r, routes, x, n)
				for i := range n {
					probs, chosen, weights := slowRoute(r, x[i*width:(i+1)*width])
					entropy := 0.0
					for e, p := range probs {
						require.InDelta(t, p, routes.Probs[i*r.Experts+e], 1e-5)
						entropy -= p * math.Log(max(p, 1e-300))
					}
					require.InDelta(t, entropy, routes.Entropy[i], 1e-5)
					for j, e := range chosen {
						require.EqualValues(t, e, routes.Experts[i*r.TopK+j], "token %d", i)
						require.InDelta(t, weights[j], routes.Weights[i*r.TopK+j], 1e-5)
					}
				}
			})
		})
	}
}

func TestRouteTakesTheFirstOfEquals(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		routes := kernel.NewRoutes(1, 5, 2)
		for name, c := range map[string]struct {
			gate, bias []float32
			want       []int32
		}{
			"all alike":            {gate: []float32{1, 1, 1, 1, 1}, want: []int32{0, 1}},
			"two best alike":       {gate: []float32{0, 2, 1, 2, 2}, want: []int32{1, 3}},
			"seconds alike":        {gate: []float32{0, 1, 3, 1, 1}, want: []int32{2, 1}},
			"bias breaks the tie":  {gate: []float32{1, 1, 1, 1, 1}, bias: []float32{0, 0, 0, 0.2, 0.1}, want: []int32{3, 4}},
			"all probability lost": {gate: []float32{-1e30, 0, -1e30, -1e30, -1e30}, want: []int32{1, 0}},
			"not a number":         {gate: []float32{nan(), 1, 2, 3, 4}, want: []int32{0, 4}},
		} {
			s.Route(kernel.Router{Experts: 5, TopK: 2, Gate: c.gate, Bias: c.bias}, routes, []float32{1}, 1)
			require.Equal(t, c.want, routes.Experts, name)
		}
		for _, bias := range [][]float32{nil, make([]float32, 5)} {
			s.Route(kernel.Router{Experts: 5, TopK: 2, Gate: []float32{1, 2, 3, 4, nan()}, Bias: bias}, routes, []float32{1}, 1)
			require.True(t, math.IsNaN(float64(routes.Weights[0])), "seen wherever it is")
		}
	})
}

func nan() float32 { return float32(math.NaN()) }

// Rows sorted by expert and then by token are each token's own again.
func TestRoutesSortEveryChoiceOnce(t *testing.T) {
	t.Parallel()
	s := kernel.Portable()
	rapid.Check(t, func(t *rapid.T) {
		n, experts := rapid.IntRange(0, 300).Draw(t, "n"), rapid.IntRange(1, 12).Draw(t, "experts")
		k := rapid.IntRange(1, experts).Draw(t, "k")
		routes := kernel.NewRoutes(310, experts, k)
		x := normal(rng("x", n, experts, k), n*3)
		s.Route(kernel.Router{Experts: experts, TopK: k, Gate: normal(rng("g", experts), experts*3)}, routes, x, n)
		require.EqualValues(t, 0, routes.Offsets[0])
		require.EqualValues(t, n*k, routes.Offsets[experts])
		seen, last := make([]bool, n*k), make([]int32, experts)
		for a := range n * k {
			e, place := routes.Experts[a], routes.Places[a]
			require.False(t, seen[place])
			seen[place] = true
			require.GreaterOrEqual(t, place, max(routes.Offsets[e], last[e]), "in the order of tokens")
			require.Less(t, place, routes.Offsets[e+1])
			last[e] = place
		}
		for i := range n {
			chosen := slices.Clone(routes.Experts[i*k : (i+1)*k])
			slices.Sort(chosen)
			require.Len(t, slices.Compact(chosen), k, "distinct experts")
		}
		sorted, back := make([]float32, n*k*3), make([]float32, n*3)
		s.Dispatch(routes, sorted, x, n, 3)
		s.Collect(routes, back, sorted, routes.Weights, n, 3)
		for i, v := range x {
			require.InDelta(t, v, back[i], 1e-5, "weights add up to 1")
		}
	})
}

func TestGroupedProducts(t *testing.T) {
	t.Parallel()
	for name, offsets := range map[string][]int32{
		"no rows":           {0, 0, 0},
		"one expert":        {0, 9},
		"empty experts":     {0, 0, 5, 5, 70, 70},
		"more than a piece": {0, 300, 301, 640},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *kernel.Set) {
				g := kernel.Grouped{In: 7, Out: 5, Offsets: offsets}
				experts, rows := len(offsets)-1, int(offsets[len(offsets)-1])
				x, dy, w := normal(rng("x"), rows*g.In), normal(rng("dy"), rows*g.Out), normal(rng("w"), experts*g.In*g.Out)
				wantY, wantX, wantW := make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(w))
				for e := range experts {
					for r := int(offsets[e]); r < int(offsets[e+1]); r++ {
						for o := range g.Out {
							for i := range g.In {
								at := (e*g.Out+o)*g.In + i
								wantY[r*g.Out+o] += float64(x[r*g.In+i]) * float64(w[at])
								wantX[r*g.In+i] += float64(dy[r*g.Out+o]) * float64(w[at])
								wantW[at] += float64(dy[r*g.Out+o]) * float64(x[r*g.In+i])
							}
						}
					}
				}
				y, dx, dw := normal(rng("dirt"), len(dy)), normal(rng("dirt"), len(x)), normal(rng("dirt"), len(w))
				for i, v := range dw {
					wantW[i] += float64(v)
				}
				s.GroupedProduct(g, y, x, w)
				s.GroupedInputGrad(g, dx, dy, w)
				s.AddGroupedWeightGrad(g, dw, dy, x)
				near(t, wantY, y, rowTolerance*s.Tolerance()/1e-6, "y")
				near(t, wantX, dx, rowTolerance*s.Tolerance()/1e-6, "dx")
				near(t, wantW, dw, 10*rowTolerance*s.Tolerance()/1e-6, "dweights")
			})
		})
	}
}

// A token's route and the sum of its experts' rows have the same bits wherever it stands and whatever else is in the batch.
func TestRoutesDoNotDependOnTheBatch(t *testing.T) {
	t.Parallel()
	const n, width = 290, 40
	onEach(t, func(t *testing.T, s *kernel.Set) {
		r := kernel.Router{Experts: 7, TopK: 3, Gate: normal(rng("g"), 7*width), Bias: normal(rng("b"), 7)}
		x := normal(rng("x"), n*width)
		// run gives the weights and sums of the tokens in that order; each expert doubles its rows as often as its index says.
		run := func(order []int) (experts []int32, weights, sums []float32) {
			var batch []float32
			for _, i := range order {
				batch = append(batch, x[i*width:(i+1)*width]...)
			}
			routes := kernel.NewRoutes(n, 7, 3)
			s.Route(r, routes, batch, len(order))
			rows := make([]float32, len(order)*3*width)
			s.Dispatch(routes, rows, batch, len(order), width)
			for e := range 7 {
				s.Scale(float32(int(1)<<e), rows[int(routes.Offsets[e])*width:int(routes.Offsets[e+1])*width])
			}
			sums = make([]float32, len(batch))
			s.Collect(routes, sums, rows, routes.Weights, len(order), width)
			return routes.Experts, routes.Weights, sums
		}
		all := rng("order").Perm(n)
		experts, weights, sums := run(all)
		for _, order := range [][]int{all[:1], all[7:200], {all[289]}, append(slices.Clone(all[100:]), all[:100]...)} {
			gotExperts, gotWeights, gotSums := run(order)
			for at, i := range order {
				was := slices.Index(all, i)
				require.Equal(t, experts[was*3:was*3+3], gotExperts[at*3:at*3+3])
				require.Equal(t, weights[was*3:was*3+3], gotWeights[at*3:at*3+3])
				require.Equal(t, sums[was*width:(was+1)*width], gotSums[at*width:(at+1)*width])
			}
		}
	})
}
