package decode

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

// logitsOf are the logits whose softmax at temperature 1 is p; 0 stands for minus infinity.
func logitsOf(p ...float64) []float32 {
	z := make([]float32, len(p))
	for i, v := range p {
		z[i] = float32(math.Log(v))
	}
	return z
}

func TestSamplerDrawsByTheUniformNumber(t *testing.T) {
	t.Parallel()
	p := []float64{0.1, 0.4, 0, 0.3, 0.2}
	tests := []struct {
		name string
		how  Sampling
		u    float64
		want hone.TokenID
	}{
		{"first", Sampling{Temperature: 1}, 0, 0},
		{"just below a border", Sampling{Temperature: 1}, 0.0999, 0},
		{"just above a border", Sampling{Temperature: 1}, 0.1001, 1},
		{"impossible token is skipped", Sampling{Temperature: 1}, 0.5001, 3},
		{"last", Sampling{Temperature: 1}, 1 - 1e-16, 4},
		{"greedy ignores it", Sampling{}, 0.95, 1},
		{"greedy ignores filters", Sampling{TopK: 3, TopP: 0.1}, 0.95, 1},
		{"top-k 1 is greedy", Sampling{Temperature: 1, TopK: 1}, 0.99, 1},
		{"top-k 2, lower id first", Sampling{Temperature: 1, TopK: 2}, 0.57, 1},
		{"top-k 2, rescaled", Sampling{Temperature: 1, TopK: 2}, 0.58, 3},
		{"top-p keeps the token that reaches it", Sampling{Temperature: 1, TopP: 0.41}, 0.99, 3},
		{"top-p is reached by one", Sampling{Temperature: 1, TopP: 0.39}, 0.99, 1},
		{"top-p of what top-k leaves", Sampling{Temperature: 1, TopK: 2, TopP: 0.56}, 0.99, 1},
		{"low temperature sharpens", Sampling{Temperature: 0.01}, 0.999, 1},
		{"high temperature flattens", Sampling{Temperature: 1000}, 0.26, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSampler(kernel.Portable(), len(p))
			id, logp, ok := s.draw(logitsOf(p...), test.how, test.u)
			require.True(t, ok)
			require.Equal(t, test.want, id)
			temperature, sum := test.how.Temperature, 0.0
			if temperature == 0 {
				temperature = 1
			}
			for _, q := range p {
				sum += math.Pow(q, 1/temperature)
			}
			require.InDelta(t, math.Log(math.Pow(p[id], 1/temperature)/sum), logp, 1e-5, "before top-k and top-p")
		})
	}
}

func TestSamplerBreaksTiesByID(t *testing.T) {
	t.Parallel()
	s := newSampler(kernel.Portable(), 4)
	logits := []float32{1, 3, 3, 3}
	id, _, ok := s.draw(slices.Clone(logits), Sampling{}, 0.9)
	require.True(t, ok)
	require.Equal(t, hone.TokenID(1), id)
	id, _, ok = s.draw(slices.Clone(logits), Sampling{Temperature: 1, TopK: 2}, 0.999)
	require.True(t, ok)
	require.Equal(t, hone.TokenID(2), id)
}

func TestSamplerStandsExtremeLogits(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	tests := []struct {
		name   string
		logits []float32
		ok     bool
	}{
		{"huge", []float32{3e38, 0, -3e38}, true},
		{"all equal and huge", []float32{-1e30, -1e30}, true},
		{"impossible ones", []float32{-inf, 0, -inf}, true},
		{"NaN", []float32{0, nan, 1}, false},
		{"infinite", []float32{0, inf, 1}, false},
		{"all impossible", []float32{-inf, -inf}, false},
	}
	for _, test := range tests {
		for _, how := range []Sampling{{}, {Temperature: 1}, {Temperature: 1, TopK: 2}, {Temperature: 0.9, TopP: 0.5}} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				set, err := kernel.Open()
				require.NoError(t, err)
				s := newSampler(set, len(test.logits))
				id, logp, ok := s.draw(slices.Clone(test.logits), how, 0.999999)
				require.Equal(t, test.ok, ok)
				if ok {
					require.False(t, math.IsNaN(float64(logp)) || logp > 0, "logp %v", logp)
					require.NotEqual(t, -inf, test.logits[id], "an impossible token")
				}
			})
		}
	}
}

// The frequencies of many draws fit the probabilities by Pearson's chi-square. The seed is fixed; the bound is the 0.1 % point
// for the degrees of freedom, by Wilson and Hilferty's approximation.
func TestSamplerFrequencies(t *testing.T) {
	t.Parallel()
	const draws, vocab = 40_000, 24
	random := rand.New(rand.NewPCG(5, 6))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(random.NormFloat64())
	}
	for _, how := range []Sampling{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 1, TopK: 7}, {Temperature: 2, TopP: 0.7}, {Temperature: 1, TopK: 12, TopP: 0.8},
	} {
		want := slowProbabilities(logits, how)
		s := newSampler(kernel.Portable(), vocab)
		stream := hone.Rand(hone.Seed(1, "frequencies"))
		counts := make([]int, vocab)
		for range draws {
			id, _, ok := s.draw(slices.Clone(logits), how, stream.Float64())
			require.True(t, ok)
			counts[id]++
		}
		chi, freedom := 0.0, -1.0
		for i, p := range want {
			if p == 0 {
				require.Zero(t, counts[i], "%+v drew token %d, which it filters out", how, i)
				continue
			}
			diff := float64(counts[i]) - p*draws
			chi += diff * diff / (p * draws)
			freedom++
		}
		const normalPoint = 3.09
		spread := 2 / (9 * freedom)
		require.Less(t, chi, freedom*math.Pow(1-spread+normalPoint*math.Sqrt(spread), 3), "%+v", how)
	}
}

// slowProbabilities are the probabilities that Sampling's comment defines, in float64 and by selection rather than sorting.
func slowProbabilities(logits []float32, how Sampling) []float64 {
	p := make([]float64, len(logits))
	for i, z := range logits {
		p[i] = math.Exp(float64(z) / how.Temperature)
	}
	kept, sum := make([]bool, len(p)), 0.0
	limit, total := how.TopK, 0.0
	if limit == 0 || limit > len(p) {
		limit = len(p)
	}
	ranked := []int{}
	for range limit {
		best := -1
		for i, v := range p {
			if !kept[i] && (best < 0 || v > p[best]) {
				best = i
			}
		}
		kept[best] = true
		total += p[best]
		ranked = append(ranked, best)
	}
	topP := how.TopP
	if topP == 0 {
		topP = 1
	}
	out := make([]float64, len(p))
	for _, i := range ranked {
		out[i] = p[i]
		sum += p[i]
		if topP < 1 && sum >= topP*total {
			break
		}
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// A filter that keeps everything changes no token, and a token that is drawn is always one that the filter keeps.
func TestSamplerFilterProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Quarters are equal or well apart, in float32 as in float64.
		quarter := rapid.Map(rapid.IntRange(-80, 80), func(i int) float32 { return float32(i) / 4 })
		logits := rapid.SliceOfN(quarter, 2, 40).Draw(t, "logits")
		u := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "u")
		how := Sampling{
			Temperature: rapid.Float64Range(0.1, 3).Draw(t, "temperature"),
			TopK:        rapid.IntRange(0, 45).Draw(t, "top k"),
			TopP:        rapid.Float64Range(0, 1).Draw(t, "top p"),
		}
		s := newSampler(kernel.Portable(), len(logits))
		id, logp, ok := s.draw(slices.Clone(logits), how, u)
		if !ok || logp > 1e-6 || math.IsInf(float64(logp), 0) {
			t.Fatalf("token %d, logp %v, ok %v", id, logp, ok)
		}
		// Rounding may move a token over the border of top-p; then its neighbours in rank are within it.
		loose := how
		if how.TopP > 0 {
			loose.TopP = min(1, how.TopP+1e-5)
		}
		if slowProbabilities(logits, loose)[id] == 0 {
			t.Fatalf("token %d is outside %+v", id, how)
		}
		all := Sampling{Temperature: how.Temperature}
		plain, _, _ := s.draw(slices.Clone(logits), all, u)
		all.TopK = len(logits)
		if same, _, _ := s.draw(slices.Clone(logits), all, u); same != plain {
			t.Fatalf("top-k of everything drew %d, none %d", same, plain)
		}
	})
}

func TestSamplerAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	logits := make([]float32, 280)
	for i := range logits {
		logits[i] = float32(i%17) / 5
	}
	set, err := kernel.Open()
	require.NoError(t, err)
	s := newSampler(set, len(logits))
	for _, how := range []Sampling{{Temperature: 1}, {}, {Temperature: 1, TopK: 20, TopP: 0.9}} {
		require.Zero(t, testing.AllocsPerRun(100, func() { s.draw(logits, how, 0.5) }), "%+v", how)
	}
}

func TestStopper(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		stop   []string
		pieces []string
		want   int // the index of the piece that completes a stop string, -1 for none
	}{
		{"none", nil, []string{"a", "b"}, -1},
		{"one piece", []string{"\n"}, []string{"1", ")\n", "2"}, 1},
		{"across pieces", []string{"abc"}, []string{"xa", "b", "cx"}, 2},
		{"within a piece", []string{"bc"}, []string{"a", "abcd"}, 1},
		{"overlapping start", []string{"aab"}, []string{"a", "a", "a", "b"}, 3},
		{"the first of several", []string{"zzz", "b"}, []string{"a", "b", "zzz"}, 1},
		{"longer than what came", []string{"abcdef"}, []string{"abc", "de"}, -1},
		{"empty pieces", []string{"ab"}, []string{"a", "", "b"}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var s stopper
			s.reset([]string{"left over"})
			s.add("left ov")
			s.reset(test.stop)
			got := -1
			for i, piece := range test.pieces {
				if s.add(piece) {
					got = i
					break
				}
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestAlternativesAreTheLikeliestButForTheOneDrawn(t *testing.T) {
	t.Parallel()
	p := []float64{0.1, 0.3, 0, 0.3, 0.2, 0.1}
	s := newSampler(kernel.Portable(), len(p))
	for drawn := range p {
		if p[drawn] == 0 {
			continue
		}
		for k := range len(p) + 2 {
			logits := logitsOf(p...)
			logp, ok := s.score(logits, hone.TokenID(drawn), 1)
			require.True(t, ok)
			before := []Alternative{{Token: 9}}
			got := s.alternatives(before, logits, hone.TokenID(drawn), logp, k)
			require.Equal(t, before, got[:1], "what was there stays")
			var want []hone.TokenID
			for _, id := range []hone.TokenID{1, 3, 4, 0, 5, 2} {
				if int(id) != drawn {
					want = append(want, id)
				}
			}
			want = want[:min(k, len(want))]
			require.Len(t, got[1:], len(want))
			for i, a := range got[1:] {
				require.Equal(t, want[i], a.Token)
				require.InDelta(t, math.Log(p[a.Token]), a.Logp, 1e-5)
			}
		}
	}
}
