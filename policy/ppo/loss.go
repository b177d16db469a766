package ppo

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Loss is the clipped policy loss with its value, entropy, KL and imitation terms, as one operator in the graph. Its inputs from
// the graph are the log-probabilities, the entropies and the values of a packed batch; the rest comes from slices that
// [Loss.Set] fills before each run.
//
// Trajectories that search made enter by imitation and not by the policy gradient. Their tokens were chosen by the tree, so the
// policy's own log-probability of them is no sampling probability: a ratio on it would weigh nothing in particular, a clip
// would bound nothing, and an advantage would be credited to choices that the policy did not make. The gradient of the
// cross-entropy asks for no such thing. Their values are not targets either: search returns the best of many lines, and a value
// head trained on that would promise the policy what only the search can keep.
//
// A Loss is not safe for concurrent use.
type Loss struct {
	objective objective
	rows      Rows
	totals    Totals
	tally     *tally
	built     int
}

// NewLoss is the loss of c with the coefficient beta of the KL penalty. c is taken to be valid.
func NewLoss(c Config, beta float64) *Loss {
	return &Loss{objective: newObjective(c, beta), tally: newTally()}
}

// Set gives the rows of the next batch, which the Loss keeps until the next call and does not change, and the totals of the
// minibatch that the batch is part of. Rows of unequal lengths, and rows of a kind whose total is less than their number, are
// [hone.ErrInvalid].
func (l *Loss) Set(rows Rows, totals Totals) error {
	if err := rows.validate(); err != nil {
		return err
	}
	var seen Totals
	for _, kind := range rows.Kind {
		switch kind {
		case KindNone:
		case KindSample:
			seen.Samples++
		case KindImitation:
			seen.Imitations++
		}
	}
	uncounted := l.objective.sequences && seen.Samples > 0 && totals.Sequences < 1
	if seen.Samples > totals.Samples || seen.Imitations > totals.Imitations || uncounted {
		return fmt.Errorf("ppo loss: rows hold %+v, more than the minibatch's %+v: %w", seen, totals, hone.ErrInvalid)
	}
	l.rows, l.totals = rows, totals
	return nil
}

// Build implements [policy.Loss].
func (l *Loss) Build(capacity int, out policy.Outputs) (*gorgonia.Node, error) {
	return l.build(capacity, out.Logp, out.Entropy, out.Value)
}

// build puts the loss of n rows into the graph of its inputs, each [n].
func (l *Loss) build(n int, logp, entropy, value *gorgonia.Node) (*gorgonia.Node, error) {
	l.built++
	node, err := gorgonia.ApplyOp(newLossOp(l, l.built, n), logp, entropy, value)
	if err != nil {
		return nil, fmt.Errorf("ppo loss: %w", err)
	}
	return node, nil
}

// evaluate is called by the operator of whichever graph runs.
func (l *Loss) evaluate(out outputs, d slopes) (float64, error) {
	if len(l.rows.Kind) > len(out.logp) {
		return 0, fmt.Errorf("ppo loss: %d rows for a graph of %d: %w", len(l.rows.Kind), len(out.logp), hone.ErrInvalid)
	}
	return l.objective.evaluate(l.rows, l.totals, out, d, l.tally), nil
}

// takeTally is what the loss has seen since the last call.
func (l *Loss) takeTally() *tally {
	t := l.tally
	l.tally = newTally()
	return t
}
