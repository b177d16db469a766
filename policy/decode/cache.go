package decode

import "github.com/hone-rl/hone/policy/kernel"

// The cache holds keys and values in blocks of blockLen positions. A block is one allocation:
//
//	layer 0: keys of head 0   [blockLen, C]   C is the width of a head
//	         keys of head 1   [blockLen, C]
//	         values of head 0 [blockLen, C]
//	         values of head 1 [blockLen, C]
//	layer 1: ...
//
// In bfloat16 a piece is a panel of kernel.StoreKey or kernel.StoreValue.
//
// Each query reads whole contiguous pieces of it. Sequences with a common prefix hold the same blocks; whoever writes holds the
// block alone, but for the tree of prefixes, which reads only what was written before.

// blockLen is the number of positions of a block.
const blockLen = kernel.CachePanel

// cacheShape says how a block is laid out.
type cacheShape struct {
	layers, heads, width int
	// half: keys and values are bfloat16.
	half bool
}

// piece is the memory of one [blockLen, C] piece, in float32.
func (s cacheShape) piece() int {
	if s.half {
		return kernel.CachePanelLen(s.width) / 2
	}
	return blockLen * s.width
}

// size is the number of float32 in a block.
func (s cacheShape) size() int { return s.layers * 2 * s.heads * s.piece() }

// position is the bytes of one position's keys and values.
func (s cacheShape) position() int { return 4 * s.size() / blockLen }

// keys is the offset of a head's keys within a block; its values are heads pieces further.
func (s cacheShape) keys(layer, head int) int { return (layer*2*s.heads + head) * s.piece() }

// values is the offset of a head's values within a block.
func (s cacheShape) values(layer, head int) int { return s.keys(layer, head) + s.heads*s.piece() }

// panel is the piece of a block at the given place, in bfloat16.
func (s cacheShape) panel(data []float32, place int) []kernel.BFloat16 {
	return kernel.BFloat16s(data[place : place+s.piece()])
}

// copy copies the first n positions of a block.
func (s cacheShape) copy(to, from []float32, n int) {
	if s.half {
		copy(to, from)
		for l := range s.layers {
			for g := range s.heads {
				kernel.ForgetValues(s.panel(to, s.values(l, g)), n)
			}
		}
		return
	}
	for i := 0; i < len(from); i += s.piece() {
		copy(to[i:i+n*s.width], from[i:])
	}
}

// slabFloats is about the number of float32 that memory is taken for at a time, 16 MB.
const slabFloats = 4 << 20

// block is the keys and values of up to blockLen positions.
type block struct {
	data []float32
	// refs is the number of sequences that hold it, and one more while it is in the tree.
	refs int
	node
}

// pool owns the blocks: those that sequences hold, those that only the tree of prefixes holds, and the free ones. It grows to
// limit blocks before it gives up prefixes, and beyond where sequences need more; it never shrinks. It serves one goroutine.
type pool struct {
	shape cacheShape
	limit int
	free  []*block
	// made is the number of all blocks, idle that of those that the tree alone holds.
	made, idle int
	// slab is memory for the next blocks.
	slab []float32
	// evicted counts the blocks that the tree gave up for want of room.
	evicted int
	// root of the tree is no block of its own; as a member of the ring of use it stands between the newest and the oldest.
	root block
}

func newPool(shape cacheShape, limit int) *pool {
	p := &pool{shape: shape, limit: limit}
	p.root.older, p.root.newer = &p.root, &p.root
	return p
}

// take gives a block that nobody else holds; it may hold anything, in bfloat16 zeros.
func (p *pool) take() *block {
	b := p.claim()
	if p.shape.half {
		clear(b.data)
	}
	return b
}

func (p *pool) claim() *block {
	if len(p.free) == 0 && p.made >= p.limit && p.idle > 0 {
		p.evict()
	}
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		b.refs = 1
		return b
	}
	p.made++
	size := p.shape.size()
	if len(p.slab) < size {
		p.slab = kernel.HugePages(min(max(slabFloats/size, 1), max(p.limit-p.made+1, 1)) * size)
	}
	b := &block{data: p.slab[:size:size], refs: 1}
	p.slab = p.slab[size:]
	return b
}

// hold adds a reference.
func (p *pool) hold(b *block) {
	if b.parent != nil && b.refs == 1 {
		p.idle--
	}
	b.refs++
}

// drop takes a reference away; with the last one the block is free.
func (p *pool) drop(b *block) {
	b.refs--
	switch {
	case b.refs == 0:
		p.free = append(p.free, b)
	case b.parent != nil && b.refs == 1:
		p.idle++
	}
}

// cached is one sequence's part of the cache.
type cached struct {
	blocks []*block
	// length is the number of positions that are written.
	length int
}

// reserve takes blocks for n positions in all.
func (c *cached) reserve(p *pool, n int) {
	for len(c.blocks)*blockLen < n {
		c.blocks = append(c.blocks, p.take())
	}
}

// release lets go of all blocks.
func (c *cached) release(p *pool) {
	for _, b := range c.blocks {
		p.drop(b)
	}
	c.blocks, c.length = c.blocks[:0], 0
}
