package decode

// The cache holds every live sequence's keys and values. It is made of blocks of blockLen positions, taken as a sequence grows
// and given back when it ends, so memory follows what is in use. A block is one allocation:
//
//	layer 0: keys of head 0   [blockLen, C]   C is the width of a head
//	         keys of head 1   [blockLen, C]
//	         values of head 0 [blockLen, C]
//	         values of head 1 [blockLen, C]
//	layer 1: ...
//
// Each query reads whole contiguous pieces of it.

// blockLen is the number of positions of a block.
const blockLen = 32

// cacheShape says how a block is laid out.
type cacheShape struct{ layers, heads, width int }

// piece is the number of float32 in one [blockLen, C] piece.
func (s cacheShape) piece() int { return blockLen * s.width }

// size is the number of float32 in a block.
func (s cacheShape) size() int { return s.layers * 2 * s.heads * s.piece() }

// keys is the offset of a head's keys within a block; its values are heads pieces further.
func (s cacheShape) keys(layer, head int) int { return (layer*2*s.heads + head) * s.piece() }

// values is the offset of a head's values within a block.
func (s cacheShape) values(layer, head int) int { return s.keys(layer, head) + s.heads*s.piece() }

// pool is the blocks that no sequence holds. It grows as they are asked for and never shrinks. It serves one goroutine.
type pool struct {
	shape cacheShape
	free  [][]float32
}

func (p *pool) take() []float32 {
	if n := len(p.free); n > 0 {
		block := p.free[n-1]
		p.free = p.free[:n-1]
		return block
	}
	return make([]float32, p.shape.size())
}

func (p *pool) give(blocks [][]float32) { p.free = append(p.free, blocks...) }

// cached is one sequence's part of the cache.
type cached struct {
	blocks [][]float32
	// length is the number of positions that are written.
	length int
}

// reserve takes blocks for n positions in all.
func (c *cached) reserve(p *pool, n int) {
	for len(c.blocks)*blockLen < n {
		c.blocks = append(c.blocks, p.take())
	}
}

// release gives all blocks back.
func (c *cached) release(p *pool) {
	p.give(c.blocks)
	c.blocks, c.length = c.blocks[:0], 0
}

// copyFrom makes c, which has nothing, equal to another sequence.
func (c *cached) copyFrom(p *pool, other *cached) {
	c.reserve(p, other.length)
	c.length = other.length
	for i, block := range c.blocks {
		copy(block, other.blocks[i])
	}
}
