package policy

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"github.com/hone-rl/hone/policy/phase"
	"gorgonia.org/gorgonia"
)

// The capacities of graphs are powers of two between these: a graph fits any batch up to its capacity, so few are built. A token of a batch
// takes about 57 kB of activations and gradients in Preset1M, so batches of 1,000 to 4,000 tokens are a good size; larger
// steps are made of several batches.
const (
	minCapacity = 256
	// MaxBatch is the largest number of tokens in a batch.
	MaxBatch = 1 << 16
)

// TrainerOptions say what a Trainer computes.
type TrainerOptions struct {
	// Temperature divides the logits, > 0: that at which tokens are sampled, so that log-probabilities of sampler and trainer
	// agree. 0 means 1.
	Temperature float32
	// ValueDetached keeps the gradient of the values out of the transformer: only the value head learns from them.
	ValueDetached bool
	// Checkpoint keeps only each block's input from the forward pass of Gradient and computes the block again in the backward pass: the
	// same bits in less memory and more time. Chen et al. 2016, arXiv:1604.06174, sec. 4.1.
	Checkpoint bool
	// Loss is what Gradient differentiates; nil for a Trainer that only evaluates.
	Loss Loss
}

// Trainer runs a policy's graph on packed batches. It reads the weights where they are, so changes to Params (by AdamW) count
// from the next call on. It holds a graph for each capacity it has met. It is not safe for concurrent use.
type Trainer struct {
	params, grads *Params
	addends       []addend
	// pending says that the addends hold something that Grads hasn't added yet.
	pending     bool
	set         *kernel.Set
	rotary      *kernel.Rotary
	temperature float32
	detached    bool
	checkpoint  bool
	loss        Loss
	usage       Usage
	training    []*circuit
	evaluating  []*circuit
}

// NewTrainer builds nothing yet; graphs are built when a batch needs them. An option out of range is hone.ErrInvalid.
func NewTrainer(params *Params, set *kernel.Set, options TrainerOptions) (*Trainer, error) {
	temperature := options.Temperature
	if temperature == 0 {
		temperature = 1
	}
	if !(temperature > 0) || math.IsInf(float64(temperature), 0) {
		return nil, fmt.Errorf("trainer: temperature is %g, must be more than 0: %w", temperature, hone.ErrInvalid)
	}
	c := params.config
	return &Trainer{
		params: params, grads: newParams(c), set: set, rotary: kernel.NewRotary(c.HeadDim(), c.Context, c.RopeTheta),
		temperature: temperature, detached: options.ValueDetached, checkpoint: options.Checkpoint, loss: options.Loss,
	}, nil
}

// Grads is the sum of what Gradient has computed since ZeroGrads. It is the Trainer's own, zero at first.
func (t *Trainer) Grads() *Params {
	if !t.pending {
		return t.grads
	}
	t.pending = false
	for _, a := range t.addends {
		t.set.Parallel(len(a.sum), weightGrain, func(lo, hi int) {
			t.set.Add(a.sum[lo:hi], a.grad[lo:hi])
			clear(a.sum[lo:hi])
		})
	}
	return t.grads
}

// weightGrain is the number of weights in one piece of work.
const weightGrain = 1 << 16

// ZeroGrads sets all gradients to 0, NaN included, and forgets what the routers did: the start of a step.
func (t *Trainer) ZeroGrads() {
	t.clear(t.grads.flat)
	t.usage = Usage{}
	for _, a := range t.addends {
		t.clear(a.sum)
	}
	t.pending = false
}

func (t *Trainer) clear(x []float32) {
	t.set.Parallel(len(x), weightGrain, func(lo, hi int) { clear(x[lo:hi]) })
}

// addend is a part of the gradient of a weight that is read several times, as that of an embedding which is the output's matrix, too.
// It is summed over the batches of a step by itself, so that the cut into batches changes no bit.
type addend struct {
	grad, sum []float32
	index     int
}

// apart is the memory of an addend of the gradient, the same for all graphs.
func (t *Trainer) apart(grad []float32, index int) []float32 {
	for _, a := range t.addends {
		if &a.grad[0] == &grad[0] && a.index == index {
			return a.sum
		}
	}
	t.addends = append(t.addends, addend{grad: grad, sum: make([]float32, len(grad)), index: index})
	return t.addends[len(t.addends)-1].sum
}

// Usage is what the routers of a mixture of experts did in all runs of Gradient since ZeroGrads.
func (t *Trainer) Usage() Usage { return t.usage }

// MoveBiases moves the biases of the policy's experts against their loads since ZeroGrads: the end of a step, beside the
// optimiser's. It does nothing where there are none.
func (t *Trainer) MoveBiases() { t.params.moveBiases(t.usage) }

// Gradient runs the loss forward and backward on b and adds its gradient to Grads. It checks ctx before it starts and then runs to the
// end. The load-balance loss of experts is in the gradient and in Usage, but not in the loss. Errors: hone.ErrInvalid for a bad batch or
// a Trainer without a loss; hone.ErrNonFinite for a loss that is NaN or infinite, and then Grads holds nothing of use until ZeroGrads.
func (t *Trainer) Gradient(ctx context.Context, b Batch) (loss float64, err error) {
	defer recoverTo(&err)
	if t.loss == nil {
		return 0, fmt.Errorf("trainer has no loss to differentiate: %w", hone.ErrInvalid)
	}
	c, err := t.prepare(ctx, b, &t.training, true)
	if err != nil {
		return 0, err
	}
	_, work := phase.Begin(ctx, "gradient")
	defer work.End()
	t.pending = true
	if err := c.run(b, work); err != nil {
		return 0, err
	}
	t.usage.add(b.Len(), t.params.config.MoE.Choices(), c.routings)
	loss = float64(c.program.value(c.cost)[0])
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, fmt.Errorf("loss of a batch of %d tokens is %v: %w", b.Len(), loss, hone.ErrNonFinite)
	}
	return loss, nil
}

// Scores are what the policy says about each token of a batch, [N] each; see [Outputs].
type Scores struct{ Logp, Entropy, Value []float32 }

// Evaluate runs the policy forward on b, with the same numbers as Gradient's forward pass. The slices are the caller's. Errors are those of
// Gradient; hone.ErrNonFinite names the token whose score is NaN or infinite.
func (t *Trainer) Evaluate(ctx context.Context, b Batch) (scores Scores, err error) {
	defer recoverTo(&err)
	c, err := t.prepare(ctx, b, &t.evaluating, false)
	if err != nil {
		return Scores{}, err
	}
	_, work := phase.Begin(ctx, "evaluate")
	defer work.End()
	if err := c.run(b, work); err != nil {
		return Scores{}, err
	}
	n := b.Len()
	all := make([]float32, 0, 3*n)
	for _, node := range []*gorgonia.Node{c.out.Logp, c.out.Entropy, c.out.Value} {
		all = append(all, c.program.value(node)[:n]...)
	}
	scores = Scores{Logp: all[:n:n], Entropy: all[n : 2*n : 2*n], Value: all[2*n:]}
	for i := range n {
		if sum := scores.Logp[i] + scores.Entropy[i] + scores.Value[i]; sum-sum != 0 {
			return Scores{}, fmt.Errorf("token %d of %d has log-probability %v, entropy %v, value %v: %w",
				i, n, scores.Logp[i], scores.Entropy[i], scores.Value[i], hone.ErrNonFinite)
		}
	}
	return scores, nil
}

// Bytes is the memory that the graphs' operators hold, without weights and their gradients, once each graph has run.
func (t *Trainer) Bytes() int {
	total := 0
	for _, c := range append(slices.Clone(t.training), t.evaluating...) {
		total += c.pack.Bytes()
	}
	return total
}

// circuit is a graph of one capacity, ready to run.
type circuit struct {
	pack    *op.Pack
	program *program
	out     Outputs
	// routings are those of the layers, in a mixture of experts.
	routings []*op.Routing
	// cost is nil where there is no backward pass.
	cost *gorgonia.Node
}

// prepare checks the batch and finds or builds the smallest circuit that it fits.
func (t *Trainer) prepare(ctx context.Context, b Batch, circuits *[]*circuit, backward bool) (*circuit, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("policy graph: %w", err)
	}
	if err := b.validate(t.params.config); err != nil {
		return nil, err
	}
	if b.Len() > MaxBatch {
		return nil, fmt.Errorf("batch has %d tokens, must have at most %d: %w", b.Len(), MaxBatch, hone.ErrInvalid)
	}
	capacity := minCapacity
	for capacity < b.Len() {
		capacity *= 2
	}
	for _, c := range *circuits {
		if c.pack.Capacity() == capacity {
			return c, nil
		}
	}
	c, err := t.build(capacity, backward)
	if err != nil {
		return nil, fmt.Errorf("build policy graph for %d tokens: %w", capacity, err)
	}
	*circuits = append(*circuits, c)
	return c, nil
}

func (t *Trainer) build(capacity int, backward bool) (*circuit, error) {
	c := &circuit{pack: op.NewPack(t.set, capacity)}
	grads := t.grads
	if !backward {
		grads = nil
	}
	if t.checkpoint || !backward {
		c.pack.ShareActivations()
	}
	b := newBuilder(t.params, grads, c.pack, t.rotary)
	c.out = b.model(t.temperature, t.detached)
	c.routings = b.routings
	if b.err != nil {
		return nil, b.err
	}
	outputs, targets := gorgonia.Nodes{c.out.Logp, c.out.Entropy, c.out.Value}, []target(nil)
	if backward {
		var err error
		if c.cost, err = t.loss.Build(capacity, c.out); err != nil {
			return nil, fmt.Errorf("loss: %w", err)
		}
		outputs, targets = gorgonia.Nodes{c.cost}, reached(c.cost, b.weights)
		var weights gorgonia.Nodes
		for _, t := range targets {
			weights = append(weights, t.weight)
		}
		if _, err := op.Grad(c.cost, weights...); err != nil {
			return nil, fmt.Errorf("differentiate: %w", err)
		}
	}
	var err error
	c.program, err = newProgram(t.set, b.graph, outputs, targets, t.apart)
	return c, err
}

// reached are those of the weights that cost depends on: a loss that ignores the values leaves the value head without a gradient.
func reached(cost *gorgonia.Node, weights []target) []target {
	seen := below(gorgonia.Nodes{cost})
	return slices.DeleteFunc(slices.Clone(weights), func(t target) bool { return !seen[t.weight] })
}

func (c *circuit) run(b Batch, work phase.Phase) error {
	share := b.Share
	if share == 0 {
		share = 1
	}
	c.pack.Fill(op.Sequences{Tokens: b.Tokens, Positions: b.Positions, Targets: b.Targets, Starts: b.Starts, Share: share})
	return c.program.run(work)
}

// recoverTo turns a panic of Gorgonia's into an error: the only place where that is done.
func recoverTo(err *error) { //nolint:gocritic // ptrToRefParam: the deferred call must set its caller's result
	if r := recover(); r != nil {
		*err = fmt.Errorf("policy graph: panic: %v", r) //nolint:err113 // a panic is a fault in a graph, none of the root's cases
	}
}
