package replay

import (
	"cmp"
	"math"
	"slices"
)

// Test is whether differences, one a problem, lie around 0.
type Test struct {
	// Mean is that of the differences over N problems, Error its standard error.
	Mean  float64 `json:"mean"`
	Error float64 `json:"error"`
	N     int     `json:"n"`
	// P is the two-sided probability of differences as lopsided as these, if each were as likely of the other sign: that of Wilcoxon's
	// signed-rank test; 1 where nothing differs.
	P float64 `json:"p"`
}

// differences are numbers that are tested against 0.
type differences struct {
	moments

	all []float64
}

func (d *differences) add(v float64) {
	d.moments.add(v)
	if v != 0 {
		d.all = append(d.all, v)
	}
}

func (d *differences) test() Test {
	t := Test{Mean: d.mean, N: d.n, P: wilcoxon(d.all)}
	if d.n > 1 {
		t.Error = d.deviation() / math.Sqrt(float64(d.n))
	}
	return t
}

// exactly is the most differences whose distribution is counted out.
const exactly = 100

// wilcoxon is the two-sided probability of the signed-rank test (Wilcoxon 1945, doi:10.2307/3001968) of differences, which it sorts.
// Zeros say nothing and are left out, ties share their ranks. Up to 100 differences the distribution of the rank sum, given the ties, is
// counted out; beyond it is taken as normal, with its exact variance and a correction for its steps.
func wilcoxon(all []float64) float64 {
	all = slices.DeleteFunc(all, func(v float64) bool { return v == 0 })
	slices.SortFunc(all, func(a, b float64) int {
		return cmp.Or(cmp.Compare(math.Abs(a), math.Abs(b)), cmp.Compare(a, b))
	})
	// Twice the ranks, which are whole.
	ranks := make([]int, len(all))
	positive, total, squares := 0, 0, 0.0
	for lo := 0; lo < len(all); {
		hi := lo + 1
		for hi < len(all) && math.Abs(all[hi]) == math.Abs(all[lo]) {
			hi++
		}
		for i := lo; i < hi; i++ {
			ranks[i] = lo + 1 + hi
			total += ranks[i]
			squares += float64(ranks[i]) * float64(ranks[i])
			if all[i] > 0 {
				positive += ranks[i]
			}
		}
		lo = hi
	}
	away := math.Abs(float64(positive) - float64(total)/2)
	if len(all) > exactly {
		return math.Erfc(math.Max(0, away-1) / math.Sqrt(squares/4) / math.Sqrt2)
	}
	prob := make([]float64, total+1) // of each sum, over all signs
	prob[0] = 1
	for _, r := range ranks {
		for sum := total; sum >= 0; sum-- {
			prob[sum] /= 2
			if sum >= r {
				prob[sum] += prob[sum-r] / 2
			}
		}
	}
	p := 0.0
	for sum, v := range prob {
		if math.Abs(float64(sum)-float64(total)/2) >= away {
			p += v
		}
	}
	return math.Min(p, 1)
}
