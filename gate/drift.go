package gate

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/hone-rl/hone"
)

// Drift is how far the distribution of one feature of problems has moved.
type Drift struct {
	// Feature is "numbers", "count" or "length"; see [Compare].
	Feature string `json:"feature"`
	// KL is the divergence of the new problems' distribution from the old ones', D(new || old), in nats, >= 0.
	KL float64 `json:"kl"`
	// Expected is about what KL is where both are drawn from one distribution: (bins - 1)/2 * (1/new + 1/old).
	Expected float64 `json:"expected"`
	// Bins is the number of bins that either has something in.
	Bins int `json:"bins"`
}

// smoothing is added to every bin's count, so that a bin which one side has nothing in costs something finite: Jeffreys' prior.
const smoothing = 0.5

// Compare is the drift of each feature from old problems to new ones. The features are those that any task in text has:
//
//	numbers  each whole number in the prompt: its value up to 99, then its power of two
//	count    how many there are in a prompt
//	length   the prompt's length in bytes: eighths up to 128, then its power of two
//
// Distributions are (count + 1/2) / (total + bins/2) over the bins that either side has. With no problems on a side there is none, and
// the result is empty.
func Compare(old, now []hone.Problem) []Drift {
	if len(old) == 0 || len(now) == 0 {
		return nil
	}
	before, after := features(old), features(now)
	out := make([]Drift, len(before))
	for i, f := range before {
		out[i] = compare(f.name, f.counts, after[i].counts)
	}
	return out
}

// Most is the largest divergence, 0 for none.
func Most(drifts []Drift) float64 {
	most := 0.0
	for _, d := range drifts {
		most = max(most, d.KL)
	}
	return most
}

// histogram counts the values of a feature by bin.
type histogram struct {
	name   string
	counts map[int]int
}

func features(problems []hone.Problem) []histogram {
	numbers, count, length := map[int]int{}, map[int]int{}, map[int]int{}
	for _, p := range problems {
		all := integers(p.Prompt)
		for _, n := range all {
			numbers[binOf(n, 100, 1)]++
		}
		count[len(all)]++
		length[binOf(uint64(len(p.Prompt)), 128, 8)]++
	}
	return []histogram{{"numbers", numbers}, {"count", count}, {"length", length}}
}

// binOf is value/width below fine, and beyond it one bin for each power of two.
func binOf(value, fine, width uint64) int {
	if value < fine {
		return int(value / width)
	}
	return int(fine) + bits.Len64(value)
}

// integers are the whole numbers in a text; one beyond 64 bits counts as the largest.
func integers(text string) []uint64 {
	var out []uint64
	for i := 0; i < len(text); i++ {
		from := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		if i == from {
			continue
		}
		n, err := strconv.ParseUint(text[from:i], 10, 64)
		if err != nil {
			n = math.MaxUint64
		}
		out = append(out, n)
	}
	return out
}

func compare(name string, old, now map[int]int) Drift {
	union := maps.Clone(old)
	maps.Copy(union, now)
	bins := slices.Sorted(maps.Keys(union))
	before, after := make([]float64, len(bins)), make([]float64, len(bins))
	for i, bin := range bins {
		before[i], after[i] = float64(old[bin])+smoothing, float64(now[bin])+smoothing
	}
	d := Drift{Feature: name, Bins: len(bins)}
	if len(bins) < 2 {
		return d
	}
	d.KL = divergence(after, before)
	d.Expected = float64(len(bins)-1) / 2 * (1/float64(total(now)) + 1/float64(total(old)))
	return d
}

func total(counts map[int]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return max(sum, 1)
}

// divergence is D(p || q) of two positive lists that are made to sum to 1, in nats.
func divergence(p, q []float64) float64 {
	var sumP, sumQ float64
	for i := range p {
		sumP += p[i]
		sumQ += q[i]
	}
	d := 0.0
	for i := range p {
		d += p[i] / sumP * math.Log(p[i]/sumP/(q[i]/sumQ))
	}
	return max(d, 0)
}
