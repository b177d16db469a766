package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/op"
	"github.com/hone-rl/hone/policy/phase"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// program runs a graph that Gorgonia has built and differentiated: every node's operator once, in an order that their inputs allow.
// Gorgonia's tape machine does the same with memory of its own; here operators keep their outputs, and those of the gradients of
// weights add to where the gradients are wanted, in the order of the tokens.
type program struct {
	set   *kernel.Set
	steps []*step
	// of is the step of each node.
	of map[*gorgonia.Node]*step
	// sums are gradients that no operator could add by itself.
	sums []sum
}

// step is a node at work.
type step struct {
	op gorgonia.Op
	// name is the operator's, without its number within the graph.
	name string
	// from are the steps of the inputs, inputs a buffer for their values.
	from   []*step
	inputs []gorgonia.Value
	value  gorgonia.Value
}

// sum adds the value of a step to into.
type sum struct {
	from *step
	into []float32
}

// target is a weight of the graph with the memory of its gradient.
type target struct {
	weight *gorgonia.Node
	grad   []float32
}

// newProgram runs what outputs and the gradients of the targets need. The graph must have been differentiated for the targets. A weight
// that is read several times has several addends: all but the first go to memory that apart gives.
func newProgram(
	set *kernel.Set, graph *gorgonia.ExprGraph, outputs gorgonia.Nodes, targets []target, apart func(grad []float32, addend int) []float32,
) (*program, error) {
	p := &program{set: set, of: map[*gorgonia.Node]*step{}}
	needed := outputs
	for _, t := range targets {
		for i, node := range addends(t.weight.Deriv()) {
			needed = append(needed, node)
			into := t.grad
			if i > 0 {
				into = apart(t.grad, i)
			}
			if !op.AddTo(node, into) {
				p.sums = append(p.sums, sum{from: p.step(node), into: into})
			}
		}
	}
	wanted := below(needed)
	order, err := gorgonia.Sort(graph)
	if err != nil {
		return nil, fmt.Errorf("order the graph: %w", err)
	}
	for _, node := range slices.Backward(order) {
		if wanted[node] {
			if err := p.add(node); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// addends are the nodes that are added up to n, where Gorgonia has done that because a node is read several times.
func addends(n *gorgonia.Node) gorgonia.Nodes {
	if adds(n) {
		kids := children(n)
		return append(addends(kids[0]), addends(kids[1])...)
	}
	return gorgonia.Nodes{n}
}

// adds tells whether n is a sum that Gorgonia made.
func adds(n *gorgonia.Node) bool {
	return len(children(n)) == 2 && strings.HasPrefix(n.Op().String(), "+")
}

// plus is the sum of two tensors of one shape, into memory of its own.
type plus struct {
	gorgonia.Op

	set    *kernel.Set
	result *tensor.Dense
	// out is the result's memory, a and b are what is added, and rows does a part of it.
	out, a, b []float32
	rows      func(lo, hi int)
}

func newPlus(node *gorgonia.Node, set *kernel.Set) *plus {
	p := &plus{Op: node.Op(), set: set, result: tensor.New(tensor.WithShape(node.Shape()...), tensor.Of(tensor.Float32))}
	p.out = p.result.Float32s()
	p.rows = func(lo, hi int) {
		copy(p.out[lo:hi], p.a[lo:hi])
		p.set.Add(p.b[lo:hi], p.out[lo:hi])
	}
	return p
}

// Do adds.
func (p *plus) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	p.a, p.b = floats(values[0]), floats(values[1])
	p.set.Parallel(len(p.out), weightGrain, p.rows)
	return p.result, nil
}

// below are the nodes and all that they are made from.
func below(nodes gorgonia.Nodes) map[*gorgonia.Node]bool {
	seen := map[*gorgonia.Node]bool{}
	walk := append(gorgonia.Nodes(nil), nodes...)
	for len(walk) > 0 {
		n := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if !seen[n] {
			seen[n] = true
			walk = append(walk, children(n)...)
		}
	}
	return seen
}

// children are a node's inputs, in their order.
func children(n *gorgonia.Node) gorgonia.Nodes {
	var nodes gorgonia.Nodes
	for it := n.Graph().From(n.ID()); it.Next(); {
		if child, ok := it.Node().(*gorgonia.Node); ok {
			nodes = append(nodes, child)
		}
	}
	return nodes
}

// step is the node's, made if it is new.
func (p *program) step(node *gorgonia.Node) *step {
	s, ok := p.of[node]
	if !ok {
		s = new(step)
		p.of[node] = s
	}
	return s
}

// add appends the node, whose inputs have been added.
func (p *program) add(node *gorgonia.Node) error {
	s := p.step(node)
	kids := children(node)
	if len(kids) == 0 {
		if s.value = node.Value(); s.value == nil {
			return fmt.Errorf("node %v has neither inputs nor a value: %w", node, hone.ErrInvalid)
		}
		return nil
	}
	s.op, s.inputs = node.Op(), make([]gorgonia.Value, len(kids))
	if adds(node) && node.Dims() > 0 {
		s.op = newPlus(node, p.set)
	}
	s.name, _, _ = strings.Cut(s.op.String(), "#")
	s.name = strings.TrimSuffix(s.name, " false") // as Gorgonia writes that an operator is not in place
	for _, kid := range kids {
		s.from = append(s.from, p.step(kid))
	}
	p.steps = append(p.steps, s)
	return nil
}

// run does every step once and adds to the gradients. Whoever watches hears of each operator.
func (p *program) run(work phase.Phase) error {
	watched := phase.Watched(work)
	for _, s := range p.steps {
		for i, from := range s.from {
			s.inputs[i] = from.value
		}
		if err := s.run(); err != nil {
			return err
		}
		if watched {
			work.Lap(s.name)
		}
	}
	for _, s := range p.sums {
		p.set.Add(floats(s.from.value), s.into)
	}
	return nil
}

// run computes the value; Gorgonia's own operators are given that of the run before to write to.
func (s *step) run() (err error) {
	if o, ok := s.op.(gorgonia.UsePreallocDoer); ok && s.value != nil {
		s.value, err = o.UsePreallocDo(s.value, s.inputs...)
	} else {
		s.value, err = s.op.Do(s.inputs...)
	}
	if err != nil {
		return fmt.Errorf("run policy graph: %w", err)
	}
	return nil
}

// value is what the node was in the last run, [N].
func (p *program) value(node *gorgonia.Node) []float32 { return floats(p.of[node].value) }

func floats(v gorgonia.Value) []float32 {
	switch v := v.(type) {
	case *tensor.Dense:
		return v.Float32s()
	case *gorgonia.F32:
		return []float32{float32(*v)}
	default:
		panic(fmt.Sprintf("policy: value of a node is a %T", v))
	}
}
