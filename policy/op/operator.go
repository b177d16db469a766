package op

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/hone-rl/hone"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operator is a Gorgonia operator over float32 tensors of fixed shapes that owns its output. A scalar is a tensor of no dimensions.
type operator struct {
	name string
	// in and out are the shapes of the inputs and of the output.
	in  []tensor.Shape
	out tensor.Shape
	// run computes out from the inputs; both are the tensors' backing slices, of length 1 for scalars.
	run func(out []float32, in [][]float32)
	// diff adds the gradient nodes for the inputs, nil for fixed ones, given their nodes, the operator's and the gradient for that. nil:
	// there is no derivative, as in gradient operators.
	diff func(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error)
	// backing, if not nil, is the output's memory, shared with the operator's state on purpose.
	backing []float32
	// shared, if not nil, is the memory that the output takes in turns with operators of other blocks.
	shared *buffer
	// adds says that run adds to out, as the gradients of weights do.
	adds bool
	// kept says that another operator has added to out before run.
	kept bool
	// alias says that the output is the first input itself.
	alias bool
	// fixed is the number of the first inputs that diff gives no gradient for.
	fixed int

	pack  *Pack
	block *block
	// foreign says that backing is memory of another owner, which AddTo gave.
	foreign bool
	id      int
	result  *tensor.Dense
	slices  [][]float32
	scalars []float32
}

// add puts the operator into the graph of its inputs.
func (p *Pack) add(o *operator, inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	p.made++
	o.id, o.pack = p.made, p
	for _, n := range inputs {
		o.in = append(o.in, n.Shape())
	}
	node, err := gorgonia.ApplyOpWithName(o, o.String(), inputs...)
	if err != nil {
		return nil, fmt.Errorf("operator %s: %w", o.name, err)
	}
	if p.block != nil {
		p.block.take(o, node)
	}
	return node, nil
}

// expect checks the shape of a node when an operator is added.
func expect(operator, input string, n *gorgonia.Node, want ...int) error {
	if !n.Shape().Eq(tensor.Shape(want)) {
		return fmt.Errorf("operator %s: %s has shape %v, want %v: %w", operator, input, n.Shape(), want, hone.ErrInvalid)
	}
	return nil
}

// Arity is the number of inputs.
func (o *operator) Arity() int { return len(o.in) }

// Type is one float32 tensor after another to a float32 tensor.
func (o *operator) Type() hm.Type {
	var types []hm.Type
	for _, s := range o.in {
		types = append(types, typeOf(s))
	}
	return hm.NewFnType(append(types, typeOf(o.out))...)
}

func typeOf(s tensor.Shape) hm.Type {
	if s.IsScalar() {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: s.Dims(), Of: tensor.Float32}
}

// InferShape is fixed when the operator is made.
func (o *operator) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.out, nil }

// Do runs the operator. The value that it returns is overwritten by the next run.
func (o *operator) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	if o.slices == nil {
		o.prepare()
	}
	for i, v := range values {
		switch v := v.(type) {
		case *tensor.Dense:
			if v.Dtype() != tensor.Float32 {
				return nil, fmt.Errorf("operator %s: input %d is of %v, want float32: %w", o.name, i, v.Dtype(), hone.ErrInvalid)
			}
			o.slices[i] = v.Float32s()
		case *gorgonia.F32:
			o.scalars[i] = float32(*v)
			o.slices[i] = o.scalars[i : i+1]
		default:
			return nil, fmt.Errorf("operator %s: input %d is a %T, want float32: %w", o.name, i, v, hone.ErrInvalid)
		}
	}
	if o.adds && !o.foreign && !o.kept {
		clear(o.backing)
	}
	o.run(o.backing, o.slices)
	if o.alias {
		return values[0], nil
	}
	if o.out.IsScalar() {
		return gorgonia.NewF32(o.backing[0]), nil
	}
	return o.result, nil
}

// AddTo makes the operator of a node, if it is the gradient of a weight, add its result to into, which has the node's size, from now on. It
// tells whether the operator can.
func AddTo(node *gorgonia.Node, into []float32) bool {
	o, ok := node.Op().(*operator)
	if !ok || !o.adds {
		return false
	}
	o.backing, o.foreign = into, true
	return true
}

// memory is the output's, for an operator that runs before and adds to it.
func (o *operator) memory() []float32 {
	if o.slices == nil {
		o.prepare()
	}
	if !o.foreign {
		clear(o.backing)
	}
	return o.backing
}

// prepare makes the output's memory, at the first run.
func (o *operator) prepare() {
	o.slices, o.scalars = make([][]float32, len(o.in)), make([]float32, len(o.in))
	switch {
	case o.alias:
		return
	case o.out.IsScalar() && o.backing == nil:
		o.backing = make([]float32, 1)
		return
	case o.backing != nil:
	case o.shared != nil && !o.adds:
		o.backing = o.shared.take(o.pack, o.out.TotalSize())
	default:
		o.backing = o.pack.memory(o.out.TotalSize())
	}
	o.result = tensor.New(tensor.WithShape(o.out...), tensor.WithBacking(o.backing))
}

// DiffWRT is true for every input of an operator with a derivative but the fixed ones.
func (o *operator) DiffWRT(inputs int) []bool {
	wrt := make([]bool, inputs)
	for i := range wrt {
		wrt[i] = o.diff != nil && i >= o.fixed
	}
	return wrt
}

// SymDiff adds the gradient nodes.
func (o *operator) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.diff == nil {
		return nil, fmt.Errorf("operator %s has no derivative: %w", o.name, hone.ErrInvalid)
	}
	outer := o.pack.block
	o.pack.block = o.block
	defer func() { o.pack.block = outer }()
	return o.diff(inputs, output, grad)
}

// ReturnsPtr tells Gorgonia that the output is a reference.
func (o *operator) ReturnsPtr() bool { return true }

// CallsExtern is false: Gorgonia need not prepare memory.
func (o *operator) CallsExtern() bool { return false }

// OverwritesInput is -1: never.
func (o *operator) OverwritesInput() int { return -1 }

// WriteHash is unique to this instance: Gorgonia merges nodes of equal hash, and two instances must not share an output.
func (o *operator) WriteHash(h hash.Hash) { fmt.Fprint(h, o.String()) }

// Hashcode is that of WriteHash.
func (o *operator) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String is the name and the number within the graph.
func (o *operator) String() string { return fmt.Sprintf("%s#%d", o.name, o.id) }
