package ppo

import (
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// packed is a batch for the graph together with what the loss reads beside it, row by row.
type packed struct {
	batch policy.Batch
	rows  Rows
}

// split cuts the samples, in order, into runs of at most limit rows each. gather has refused a sample longer than that.
func split(samples []*sample, limit int) [][]*sample {
	var runs [][]*sample
	from, rows := 0, 0
	for i, s := range samples {
		if i > from && rows+s.rows() > limit {
			runs = append(runs, samples[from:i])
			from, rows = i, 0
		}
		rows += s.rows()
	}
	if from < len(samples) {
		runs = append(runs, samples[from:])
	}
	return runs
}

// pack is one batch of the samples, in order, and for each the first row that takes part: that of the prompt's last token, which
// predicts the completion's first. One row a token of the completion takes part, its end-of-sequence token among them; the
// lengths decide that and never the value of a token.
func pack(samples []*sample) (out packed, firsts []int) {
	n, longest := 0, 0
	for _, s := range samples {
		n, longest = n+s.rows(), max(longest, s.rows())
	}
	out.rows = NewRows(n)
	out.rows.Sequence = make([]int, n)
	const columns = 3
	r := arena[int32]{free: make([]int32, columns*n+len(samples)+1)}
	out.batch = policy.Batch{Tokens: r.take(n)[:0], Positions: r.take(n)[:0], Targets: r.take(n)[:0], Starts: r.take(len(samples) + 1)[:0]}
	firsts = make([]int, 0, len(samples))
	tokens := make([]hone.TokenID, 0, longest)
	for number, s := range samples {
		t := s.trajectory
		first := out.batch.Len() + len(t.Prompt) - 1
		firsts = append(firsts, first)
		tokens = append(append(tokens[:0], t.Prompt...), t.Tokens...)
		out.batch.Append(tokens, len(t.Prompt))
		kind := KindSample
		if s.imitation {
			kind = KindImitation
		}
		for i := range t.Tokens {
			out.rows.Kind[first+i] = kind
		}
		for i := range s.rows() {
			out.rows.Sequence[first+1-len(t.Prompt)+i] = number
		}
		if s.weight != 0 {
			out.rows.Weight = fill(out.rows.Weight, n, first, slices.Repeat([]float64{s.weight}, len(t.Tokens)))
		}
		if s.importance != nil {
			out.rows.Importance = fill(out.rows.Importance, n, first, s.importance)
		}
		copy(out.rows.LogpOld[first:], s.logpOld)
		copy(out.rows.LogpRef[first:], s.logpRef)
		copy(out.rows.Advantages[first:], s.advantages)
		copy(out.rows.Returns[first:], s.returns)
		copy(out.rows.ValuesOld[first:], s.valuesOld)
	}
	return out, firsts
}

// fill puts values at the rows from first on of a column of n that is 1 elsewhere, and makes it where there is none.
func fill(column []float64, n, first int, values []float64) []float64 {
	if column == nil {
		column = slices.Repeat([]float64{1}, n)
	}
	copy(column[first:], values)
	return column
}
