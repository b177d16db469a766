package ppo

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// Kind says what a row of a packed batch is to the loss.
type Kind uint8

// The kinds of rows.
const (
	// KindNone takes no part: a prompt's row, or padding.
	KindNone Kind = iota
	// KindSample scores a token that the policy sampled.
	KindSample
	// KindImitation scores a token that search chose.
	KindImitation
)

// Rows is what the loss reads of a packed batch besides the outputs of the graph. Every slice is [N], row i belonging to the
// token that the batch's row i predicts. Only Kind is read where it is [KindNone], and only Kind and the graph's log-probability
// where it is [KindImitation]; anything else there, NaN included, touches no result.
type Rows struct {
	Kind []Kind
	// LogpOld is the token's log-probability under the policy that sampled it, frozen over all epochs.
	LogpOld []float64
	// LogpRef is the same under the reference policy.
	LogpRef []float64
	// Advantages are whitened, as the gradient uses them.
	Advantages []float64
	// Returns are what the value head is trained towards, from advantages that were not whitened.
	Returns []float64
	// ValuesOld is the sampling policy's value, frozen over all epochs.
	ValuesOld []float64
	// Weight is what the row's losses count for before they are divided by the minibatch's total; nil is 1 each. A mean of tokens
	// within a sequence is 1/T here, and a constant divisor its inverse.
	Weight []float64
	// Importance multiplies the policy's loss and no gradient goes through it; nil is 1 each. See [Importance].
	Importance []float64
	// Sequence tells the trajectories of a batch apart, each row's by its number; rows of one stand next to each other. nil is one
	// trajectory. Only [LossGSPO] reads it.
	Sequence []int
}

// NewRows is n rows that take no part.
func NewRows(n int) Rows {
	const columns = 5
	r := arena[float64]{free: make([]float64, columns*n)}
	return Rows{
		Kind: make([]Kind, n), LogpOld: r.take(n), LogpRef: r.take(n), Advantages: r.take(n), Returns: r.take(n), ValuesOld: r.take(n),
	}
}

// validate checks that all slices are of one length.
func (r Rows) validate() error {
	n := len(r.Kind)
	if r.Weight != nil && len(r.Weight) != n || r.Importance != nil && len(r.Importance) != n || r.Sequence != nil && len(r.Sequence) != n {
		return fmt.Errorf("ppo rows: %d weights, %d importance, %d sequence for %d rows: %w",
			len(r.Weight), len(r.Importance), len(r.Sequence), n, hone.ErrInvalid)
	}
	for _, c := range []struct {
		name string
		n    int
	}{
		{"logp_old", len(r.LogpOld)},
		{"logp_ref", len(r.LogpRef)},
		{"advantages", len(r.Advantages)},
		{"returns", len(r.Returns)},
		{"values_old", len(r.ValuesOld)},
	} {
		if c.n != n {
			return fmt.Errorf("ppo rows: %d %s for %d rows: %w", c.n, c.name, n, hone.ErrInvalid)
		}
	}
	return nil
}

// weight is what row i's losses count for.
func (r Rows) weight(i int) float64 {
	if r.Weight == nil {
		return 1
	}
	return r.Weight[i]
}

// importance is what row i's policy loss is multiplied by.
func (r Rows) importance(i int) float64 {
	if r.Importance == nil {
		return 1
	}
	return r.Importance[i]
}

// sequence is the number of row i's trajectory.
func (r Rows) sequence(i int) int {
	if r.Sequence == nil {
		return 0
	}
	return r.Sequence[i]
}

// Totals is the number of tokens of each kind in a whole minibatch, and of its sampled sequences. Every part of a minibatch is divided
// by these and not by its own, so that the gradients of the parts add up to the gradient of the whole.
type Totals struct{ Samples, Imitations, Sequences int }
