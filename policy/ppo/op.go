package ppo

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hone-rl/hone"
)

// vectorType is the type of a float32 vector node.
func vectorType() hm.Type { return gorgonia.TensorType{Dims: 1, Of: tensor.Float32} }

// lossOp is the whole loss as one operator: the graph's log-probabilities, entropies and values of a packed batch, each [N], to a
// scalar. What else the loss needs it reads from the [Loss] that made it. It works in float64 and writes the derivatives down as
// it goes; the gradient operators hand them on.
type lossOp struct {
	loss *Loss
	id   int
	n    int
	out  outputs
	d    slopes
}

// newLossOp owns buffers for n rows; id tells it from the other operators of the same Loss.
func newLossOp(loss *Loss, id, n int) *lossOp {
	buffer := func() []float64 { return make([]float64, n) }
	return &lossOp{
		loss: loss, id: id, n: n,
		out: outputs{logp: buffer(), entropy: buffer(), value: buffer()},
		d:   slopes{logp: buffer(), entropy: buffer(), value: buffer()},
	}
}

// Arity is 3: log-probabilities, entropies, values.
func (op *lossOp) Arity() int { return 3 }

// Type is [N] -> [N] -> [N] -> scalar.
func (op *lossOp) Type() hm.Type {
	return hm.NewFnType(vectorType(), vectorType(), vectorType(), tensor.Float32)
}

// InferShape is the scalar's.
func (op *lossOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

// Do computes the loss. A result that is not finite is handed on, for the caller to see and skip.
func (op *lossOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	for i, into := range [][]float64{op.out.logp, op.out.entropy, op.out.value} {
		dense, ok := inputs[i].(*tensor.Dense)
		if !ok || dense.Dtype() != tensor.Float32 || dense.Shape().TotalSize() != op.n {
			return nil, fmt.Errorf("ppo loss: input %d is %T of shape %v, must be float32 [%d]: %w",
				i, inputs[i].Data(), inputs[i].Shape(), op.n, hone.ErrInvalid)
		}
		for j, v := range dense.Float32s() {
			into[j] = float64(v)
		}
	}
	value, err := op.loss.evaluate(op.out, op.d)
	if err != nil {
		return nil, err
	}
	return gorgonia.NewF32(float32(value)), nil
}

// DiffWRT is true for all three inputs.
func (op *lossOp) DiffWRT(int) []bool { return []bool{true, true, true} }

// SymDiff makes one gradient operator an input. Each takes the loss itself as an input, so that it runs after it.
func (op *lossOp) SymDiff(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	nodes := make(gorgonia.Nodes, 3)
	for i, slope := range [][]float64{op.d.logp, op.d.entropy, op.d.value} {
		g := &lossGradOp{forward: op, input: i, slope: slope}
		node, err := gorgonia.ApplyOp(g, output, grad)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", g, err)
		}
		nodes[i] = node
	}
	return nodes, nil
}

// ReturnsPtr says that the value is new each time.
func (op *lossOp) ReturnsPtr() bool { return false }

// CallsExtern is false.
func (op *lossOp) CallsExtern() bool { return false }

// OverwritesInput is never.
func (op *lossOp) OverwritesInput() int { return -1 }

// WriteHash is unique to the operator, which owns buffers and must not be merged with another.
func (op *lossOp) WriteHash(h hash.Hash) { fmt.Fprint(h, op.String()) }

// Hashcode is of WriteHash.
func (op *lossOp) Hashcode() uint32 { return hashcode(op) }

// String names the operator.
func (op *lossOp) String() string { return fmt.Sprintf("ppo.loss#%d[%d]", op.id, op.n) }

// lossGradOp is the derivative of the loss in one of its inputs: the slope that the loss wrote down times the gradient that comes
// in. [N] from two scalars.
type lossGradOp struct {
	forward *lossOp
	input   int
	slope   []float64
	result  *tensor.Dense
}

// Arity is 2: the loss and the gradient that comes in.
func (op *lossGradOp) Arity() int { return 2 }

// Type is scalar -> scalar -> [N].
func (op *lossGradOp) Type() hm.Type {
	return hm.NewFnType(tensor.Float32, tensor.Float32, vectorType())
}

// InferShape is [N].
func (op *lossGradOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{op.forward.n}, nil
}

// Do hands on the slopes of the forward pass that has just run, in a buffer that the operator owns.
func (op *lossGradOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	var scale float64
	switch v := inputs[1].Data().(type) {
	case float32:
		scale = float64(v)
	case []float32:
		scale = float64(v[0])
	default:
		return nil, fmt.Errorf("%v: gradient is %T, must be float32: %w", op, v, hone.ErrInvalid)
	}
	if op.result == nil {
		op.result = tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(op.forward.n))
	}
	into := op.result.Float32s()
	for i, s := range op.slope {
		into[i] = float32(s * scale)
	}
	return op.result, nil
}

// ReturnsPtr is true: the buffer is the operator's own.
func (op *lossGradOp) ReturnsPtr() bool { return true }

// CallsExtern is false.
func (op *lossGradOp) CallsExtern() bool { return false }

// OverwritesInput is never.
func (op *lossGradOp) OverwritesInput() int { return -1 }

// WriteHash is unique to the operator, which owns a buffer.
func (op *lossGradOp) WriteHash(h hash.Hash) { fmt.Fprint(h, op.String()) }

// Hashcode is of WriteHash.
func (op *lossGradOp) Hashcode() uint32 { return hashcode(op) }

// String names the operator.
func (op *lossGradOp) String() string { return fmt.Sprintf("%v.grad%d", op.forward, op.input) }

// hashcode is the hash of what an operator writes.
func hashcode(op gorgonia.Op) uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}
