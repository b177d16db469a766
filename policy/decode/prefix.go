package decode

import (
	"slices"

	"github.com/hone-rl/hone"
)

// The tree of prefixes remembers whose keys and values the blocks hold. A path from the root spells a text, blockLen tokens a
// block; only the last block of a path may hold fewer:
//
//	root ─┬─ Use 4 5 6 10 … (32) ─┬─ 10 - 4 = 6 … (32) ─── 5 * 6 … (9)
//	      │                       └─ 10 - 4 = 6 … (20)
//	      └─ Use 1 2 3 4 … (11)
//
// Siblings may begin alike. They are sorted by their tokens, and none is a beginning of another, so the one that a text agrees
// with longest stands beside the place where the text would be. Blocks that only the tree holds go in the order of their last
// use, the oldest first; a block was never used later than the one before it on its path, so the oldest has nothing after it.
// Zheng et al. 2023, arXiv:2312.07104, section 3. Differs: the tree branches at whole blocks, and a text that leaves a path within
// a block copies what it shares of it.

// node is a block's place in the tree; outside it, parent is nil.
type node struct {
	parent *block
	// tokens are those of the first count positions.
	tokens [blockLen]hone.TokenID
	count  int
	// children are sorted by their tokens.
	children []*block
	// older and newer are the neighbours in the ring of use.
	older, newer *block
}

// text is the tokens that the tree knows the block to hold.
func (n *node) text() []hone.TokenID { return n.tokens[:n.count] }

// place is the index of the first child whose text isn't before the given one.
func (n *node) place(text []hone.TokenID) int {
	i, _ := slices.BinarySearchFunc(n.children, text, func(child *block, text []hone.TokenID) int {
		return slices.Compare(child.text(), text)
	})
	return i
}

// closest is a child that begins with as much of the text as any does, and how much that is.
func (n *node) closest(text []hone.TokenID) (best *block, agree int) {
	i := n.place(text)
	for _, child := range n.children[max(i-1, 0):min(i+1, len(n.children))] {
		if k := common(child.text(), text); k > agree {
			best, agree = child, k
		}
	}
	return best, agree
}

// common is the number of tokens that both begin with.
func common(a, b []hone.TokenID) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// known is the number of tokens at the beginning of text whose keys and values the tree has.
func (p *pool) known(text []hone.TokenID) int {
	total := 0
	for at := &p.root; ; {
		child, n := at.closest(text[total:])
		total += n
		if n < blockLen {
			return total
		}
		at = child
	}
}

// match gives c, which is empty, all of the text that is known: whole blocks are shared, of the last one a part is copied.
func (p *pool) match(c *cached, text []hone.TokenID) {
	at := &p.root
	for {
		child, n := at.closest(text[c.length:])
		if n == 0 {
			break
		}
		at = child
		c.length += n
		p.hold(child)
		if n == blockLen {
			c.blocks = append(c.blocks, child)
			continue
		}
		b := p.take()
		p.shape.copy(b.data, child.data, n)
		p.drop(child)
		c.blocks = append(c.blocks, b)
		break
	}
	p.use(at)
}

// keep enters c, whose text is given, into the tree. Where the tree has a whole block of the same text already, c takes that one
// for its own.
func (p *pool) keep(c *cached, text []hone.TokenID) {
	at := &p.root
	for i, own := range c.blocks {
		piece := text[i*blockLen : min((i+1)*blockLen, len(text))]
		if len(piece) == 0 {
			break
		}
		at = p.enter(at, own, piece)
		if at != own && len(piece) == blockLen {
			p.hold(at)
			p.drop(own)
			c.blocks[i] = at
		}
	}
	p.use(at)
}

// enter makes b, which a sequence holds, a child of parent with the given text, and gives the child that has it: another one if
// the text was there.
func (p *pool) enter(parent, b *block, text []hone.TokenID) *block {
	if b.parent != nil {
		if b.count == len(text) {
			return b
		}
		p.remove(b) // it has grown
	}
	i := parent.place(text)
	if i < len(parent.children) && common(parent.children[i].text(), text) == len(text) {
		return parent.children[i]
	}
	if i > 0 {
		if before := parent.children[i-1]; common(before.text(), text) == before.count {
			p.remove(before)
			i--
		}
	}
	b.parent, b.count = parent, copy(b.tokens[:], text)
	b.refs++
	parent.children = slices.Insert(parent.children, i, b)
	p.link(b)
	return b
}

// remove takes b, which has no children, out of the tree.
func (p *pool) remove(b *block) {
	siblings := b.parent.children
	i := b.parent.place(b.text())
	b.parent.children = slices.Delete(siblings, i, i+1)
	b.unlink()
	if b.refs == 1 {
		p.idle--
	}
	b.parent = nil
	p.drop(b)
}

// evict frees the block that was used longest ago, of those that only the tree holds. There must be one.
func (p *pool) evict() {
	for b := p.root.newer; ; b = p.root.newer {
		if b.refs == 1 {
			p.remove(b)
			p.evicted++
			return
		}
		p.use(b)
	}
}

// use makes b and all before it on its path the newest, b the oldest of these.
func (p *pool) use(b *block) {
	for ; b != &p.root; b = b.parent {
		b.unlink()
		p.link(b)
	}
}

// link makes b the newest of the ring.
func (p *pool) link(b *block) {
	newest := p.root.older
	newest.newer, b.older = b, newest
	b.newer, p.root.older = &p.root, b
}

func (n *node) unlink() { n.older.newer, n.newer.older = n.newer, n.older }
