package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Blocks run one after another, forward and backward, so they can take turns with memory. The nodes of a graph with two of them:
//
//	x0 ─► enter ─► operators of block 0 ─► leave ─► x1 ─► enter ─► operators of block 1 ─► leave ─► x2
//	dx0 ◄─ gate ◄─ gradients of block 0 ◄─ again ◄─ dx1 ◄─ gate ◄─ gradients of block 1 ◄─ again ◄─ dx2
//
// A gate waits for all gradients of its block and takes the one for x out of the shared memory. So when it has run, nothing
// reads what the block's gradient operators wrote, and the next block's write to the same memory. Where the blocks share the
// memory of their activations too, "again" runs a block's operators once more from the input that was kept, unless no other
// block has run since.

// buffer is memory that operators of several blocks have in turns.
type buffer struct{ data []float32 }

// take is the first n numbers; memory that is too small is made anew.
func (b *buffer) take(p *Pack, n int) []float32 {
	if len(b.data) < n {
		b.data = p.memory(n)
	}
	return b.data[:n]
}

// blocks is what a Pack knows of blocks.
type blocks struct {
	// block is the one that is being built or differentiated; nil outside of blocks.
	block *block
	made  int
	// sharing says that blocks share the memory of their activations.
	sharing bool
	// resident is the block whose activations are in the shared memory.
	resident *block
	// activations and gradients are the shared outputs: the first operators of all blocks have the first buffer, and so on. gates are taken
	// in turns.
	activations, gradients []*buffer
	gates                  [2]buffer
}

// ShareActivations makes the blocks that are added from now on keep nothing but their input and their output: their operators write to the
// same memory in turns. In a graph that is differentiated, each block but the last one then runs twice. Chen et al. 2016,
// arXiv:1604.06174, sec. 4.1.
func (p *Pack) ShareActivations() { p.sharing = true }

// block is a part of the graph between two matrices, all of whose operators lie on paths from the one to the other.
type block struct {
	index int
	// forward are the operators in the order of their making, which is one in which they can run.
	forward []*operator
	// backward says that gradient operators are being added, gradients are their nodes.
	backward  bool
	gradients gorgonia.Nodes
}

// Block adds a block: build makes it of its input, [N, D], and returns its output. What other parts of the graph read must be no
// operator of the block but the last one made, which is the output.
func Block(p *Pack, x *gorgonia.Node, build func(x *gorgonia.Node) (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	b := &block{index: p.blocks.made}
	p.blocks.made++
	x, err := p.add(&operator{
		name: "block.enter", out: x.Shape(), alias: true, run: func([]float32, [][]float32) {},
		diff: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) { return b.gate(p, grad) },
	}, x)
	if err != nil {
		return nil, err
	}
	p.block = b
	y, err := build(x)
	p.block = nil
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", b.index, err)
	}
	b.forward[len(b.forward)-1].shared = nil
	b.backward = true
	return p.add(&operator{
		name: "block.leave", out: y.Shape(), alias: true, run: func([]float32, [][]float32) { p.resident = b },
		diff: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) { return b.again(p, grad) },
	}, y)
}

// take makes an operator the block's.
func (b *block) take(o *operator, node *gorgonia.Node) {
	o.block = b
	p := o.pack
	if b.backward {
		b.gradients = append(b.gradients, node)
		o.shared = slot(&p.gradients, len(b.gradients)-1)
		return
	}
	b.forward = append(b.forward, o)
	if p.sharing {
		o.shared = slot(&p.activations, len(b.forward)-1)
	}
}

// slot is the buffer at an index that is at most one past the end.
func slot(buffers *[]*buffer, i int) *buffer {
	if i == len(*buffers) {
		*buffers = append(*buffers, new(buffer))
	}
	return (*buffers)[i]
}

// again is the gradient for the output as it is, once the activations are in memory.
func (b *block) again(p *Pack, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	d, err := p.add(&operator{
		name: "block.again", out: grad.Shape(), alias: true,
		run: func([]float32, [][]float32) {
			if !p.sharing || p.resident == b {
				return
			}
			for _, o := range b.forward[:len(b.forward)-1] {
				o.run(o.backing, o.slices)
			}
			p.resident = b
		},
	}, grad)
	return gorgonia.Nodes{d}, err
}

// gate is the gradient for the input, in memory that the next block's gradients leave alone.
func (b *block) gate(p *Pack, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	width := grad.Shape()[1]
	d, err := p.add(&operator{
		name: "block.gate", out: grad.Shape(), shared: &p.gates[b.index%2],
		run: func(out []float32, in [][]float32) { copy(out, in[0][:p.rows()*width]) },
	}, append(gorgonia.Nodes{grad}, b.gradients...)...)
	return gorgonia.Nodes{d}, err
}
