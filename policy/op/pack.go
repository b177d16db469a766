package op

import "github.com/hone-rl/hone/policy/kernel"

// Sequences are the tokens of one run, laid end to end. The indices are taken to be valid.
type Sequences struct {
	// Tokens, Positions and Targets are [n], n at most the capacity; a target below 0 is none.
	Tokens, Positions, Targets []int32
	// Starts is [B+1]: sequence b is tokens Starts[b] to Starts[b+1]-1.
	Starts []int32
	// Share is the part of a step's tokens that these are, which the load-balance loss of mixtures is multiplied by.
	Share float32
}

// Pack is what the operators of one graph share: the kernels, the capacity that shapes have, and the sequences of the run.
type Pack struct {
	set      *kernel.Set
	capacity int
	seq      Sequences
	made     int
	// size is the number of float32 in all buffers.
	size int

	blocks
}

// NewPack is a Pack for graphs of capacity tokens, without sequences.
func NewPack(set *kernel.Set, capacity int) *Pack { return &Pack{set: set, capacity: capacity} }

// Capacity is N, the number of rows of every matrix in the graph.
func (p *Pack) Capacity() int { return p.capacity }

// Fill gives the sequences of the next run. It panics where they are more than the capacity.
func (p *Pack) Fill(s Sequences) {
	if len(s.Tokens) > p.capacity {
		panic("op: more tokens than the graph has rows")
	}
	p.seq = s
}

// Bytes is the size of the memory that the operators hold: outputs and what they keep for their gradients, not weights. Outputs count from
// the first run on.
func (p *Pack) Bytes() int { return 4 * p.size }

// memory is n numbers of an operator's own.
func (p *Pack) memory(n int) []float32 {
	p.size += n
	return make([]float32, n)
}

// rows is n, the number of tokens of this run.
func (p *Pack) rows() int { return len(p.seq.Tokens) }
