package policy

import (
	"github.com/hone-rl/hone/policy/op"
	"gorgonia.org/gorgonia"
)

// Outputs are the nodes that a loss is made of. Each is a float32 vector [capacity] whose first rows are the batch's tokens.
type Outputs struct {
	// Logp is the natural logarithm of the probability of each token's target at the trainer's temperature; 0 where there is no
	// target and beyond the batch.
	Logp *gorgonia.Node
	// Entropy is that of the distribution that Logp is from, in nats; 0 in the same rows.
	Entropy *gorgonia.Node
	// Value is V of the state that ends with the token; 0 beyond the batch.
	Value *gorgonia.Node

	pack *op.Pack
}

// Loss is what a Trainer minimises. It is one operator, or several, at the end of the graph, and reads what it needs for each token
// (weights, advantages, old log-probabilities) from slices of its own, which its owner fills before each [Trainer.Gradient].
//
// Rows beyond the batch, and rows that the loss masks, must contribute exactly nothing: neither to the sum nor to a slope, even where
// their numbers are NaN. A slope for Logp or Entropy in a row without a target is ignored.
type Loss interface {
	// Build adds the loss to the graph of out and returns its node, a float32 scalar. It is called once for each capacity that the
	// Trainer meets; all graphs share the loss, and one runs at a time. An output that the loss ignores need not be used.
	Build(capacity int, out Outputs) (*gorgonia.Node, error)
}

// CrossEntropy is the supervised loss: -sum(weight * logp).
type CrossEntropy struct{ weights op.Weights }

// NewCrossEntropy is a CrossEntropy without rows.
func NewCrossEntropy() *CrossEntropy { return new(CrossEntropy) }

// Set gives the weights of the next batch's tokens, [N], copied: 0 masks a token; 1 over the number of scored tokens of the whole
// step makes the loss their mean, however the step is cut into batches.
func (l *CrossEntropy) Set(weights []float32) {
	l.weights.Data = l.weights.Data[:0]
	for _, w := range weights {
		l.weights.Data = append(l.weights.Data, -w)
	}
}

// Build adds one weighted sum.
func (l *CrossEntropy) Build(_ int, out Outputs) (*gorgonia.Node, error) {
	return op.WeightedSum(out.pack, out.Logp, &l.weights)
}

// Rows are what a policy says of the tokens of a batch, [N] each, as a [RowLoss] sees them; see [Outputs].
type Rows struct{ Logp, Entropy []float64 }

// RowLoss is a loss as plain arithmetic in float64 over the rows of a batch, for what is no sum over tokens.
type RowLoss struct {
	f func(rows, slopes Rows) float64
}

// NewRowLoss is the loss f, which writes the derivative in each element of rows into slopes, where it finds zeros. A row without a
// target holds zeros, and its slopes are ignored.
func NewRowLoss(f func(rows, slopes Rows) float64) *RowLoss { return &RowLoss{f} }

// Build adds one operator.
func (l *RowLoss) Build(_ int, out Outputs) (*gorgonia.Node, error) {
	return op.RowLoss(out.pack, func(in, d [][]float64) float64 {
		return l.f(Rows{Logp: in[0], Entropy: in[1]}, Rows{Logp: d[0], Entropy: d[1]})
	}, out.Logp, out.Entropy)
}

// ValueLoss is a loss as plain arithmetic in float64 over the values of a batch, for what the value head is taught beside returns.
type ValueLoss struct {
	f func(values, slopes []float64) float64
}

// NewValueLoss is the loss f of the values [N], which leaves the derivative in each at its place in slopes, where it finds zeros.
func NewValueLoss(f func(values, slopes []float64) float64) *ValueLoss { return &ValueLoss{f} }

// Build adds one operator.
func (l *ValueLoss) Build(_ int, out Outputs) (*gorgonia.Node, error) {
	return op.RowLoss(out.pack, func(in, d [][]float64) float64 { return l.f(in[0], d[0]) }, out.Value)
}
