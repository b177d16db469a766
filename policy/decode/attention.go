package decode

import (
	"math"

	"github.com/hone-rl/hone/policy/kernel"
)

// sums is the shape of the two sums over positions, for the query heads that share a key head.
type sums struct {
	// positions is the number of keys or values, heads that of the queries, width is C; all at least 1.
	positions, heads, width int
	// stride is the distance between the scores of two heads.
	stride int
	// scale multiplies the scores.
	scale float32
	// next is as much memory as the keys or values, which is asked for meanwhile.
	next *float32
}

// check panics where a slice is too short: rows is [heads, width], scores [heads, positions] with the stride, and cached
// [positions, width].
func (s sums) check(rows, scores, cached []float32) {
	_, _, _ = rows[s.heads*s.width-1], scores[(s.heads-1)*s.stride+s.positions-1], cached[s.positions*s.width-1]
}

// attention is the two sums over positions that queries need.
type attention struct {
	// scores writes scores[h*stride+t] = scale * (queries[h] . keys[t]): queries is [heads, width], keys [positions, width] or
	// longer.
	scores func(s sums, scores, queries, keys []float32)
	// mix adds the sum over t of weights[h*stride+t] * values[t] to out[h]: out is [heads, width], values [positions, width] or
	// longer.
	mix func(s sums, out, weights, values []float32)
}

// plainAttention takes the sums one position at a time.
func plainAttention(set *kernel.Set) attention {
	row := func(x []float32, i, width int) []float32 { return x[i*width : (i+1)*width] }
	return attention{
		scores: func(s sums, scores, queries, keys []float32) {
			for h := range s.heads {
				for t := range s.positions {
					scores[h*s.stride+t] = s.scale * set.Dot(row(queries, h, s.width), row(keys, t, s.width))
				}
			}
		},
		mix: func(s sums, out, weights, values []float32) {
			for h := range s.heads {
				for t, weight := range weights[h*s.stride:][:s.positions] {
					set.Axpy(weight, row(values, t, s.width), row(out, h, s.width))
				}
			}
		},
	}
}

// newAttention is the assembly where it fits the set and the width of a head.
func newAttention(set *kernel.Set, width int) attention {
	if fast, ok := fastAttention(set, width); ok {
		return fast
	}
	return plainAttention(set)
}

// store rotates the queries and the key of row i to its feed's position, and writes key and value to the cache.
func (p *pass) store(i int) {
	f, shape, width := p.feeds[i], p.pool.shape, p.qkvWidth()
	row := p.qkv[i*width : (i+1)*width]
	queries, keys := p.config.Width, shape.heads*shape.width
	p.rotary.Rotate(p.set, row[:queries+keys], f.at)
	block, slot := f.row.blocks[f.at/blockLen].data, f.at%blockLen*shape.width
	for g := range shape.heads {
		key := row[queries+g*shape.width:]
		value := row[queries+keys+g*shape.width:]
		copy(block[shape.keys(p.layer, g)+slot:][:shape.width], key)
		copy(block[shape.values(p.layer, g)+slot:][:shape.width], value)
	}
}

// firstSeen is the first position that the window leaves to a token at the given one.
func (e *Engine) firstSeen(at int) int {
	if e.config.Window == 0 {
		return 0
	}
	return max(0, at+1-e.config.Window)
}

// attend writes row i of mixed: for each head, softmax(q k / sqrt(C)) v over the feed's text from the window's
// start up to the feed itself. Heads that share a key head are taken together, block by block, while the block is at hand and the one after
// it on its way. scores is [H/G, stride]. Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245.
func (p *pass) attend(i int, scores []float32) {
	f, shape, shared := &p.feeds[i], p.pool.shape, p.config.Heads/p.config.KVHeads
	first, length, width := p.firstSeen(f.at), f.at+1, shape.width
	s := sums{
		heads: shared, width: width, stride: roundUp(length - first), scale: float32(1 / math.Sqrt(float64(width))),
	}
	out := p.mixed[i*p.config.Width : (i+1)*p.config.Width]
	clear(out)
	for g := range shape.heads {
		queries := p.qkv[i*p.qkvWidth()+g*shared*width:][:shared*width]
		keys, values := shape.keys(p.layer, g), shape.values(p.layer, g)
		for at := first; at < length; at += s.positions {
			s.positions = min(blockLen-at%blockLen, length-at)
			if after := at + s.positions; after < length {
				s.next = &f.row.piece(keys, after, width)[0]
			} else {
				s.next = &f.row.piece(values, first, width)[0]
			}
			p.attention.scores(s, scores[at-first:], queries, f.row.piece(keys, at, width))
		}
		for h := range shared {
			row := scores[h*s.stride : (h+1)*s.stride]
			hide(row[length-first:]) // whole registers are faster
			p.set.Softmax(row)
		}
		for at := first; at < length; at += s.positions {
			s.positions = min(blockLen-at%blockLen, length-at)
			if after := at + s.positions; after < length {
				s.next = &f.row.piece(values, after, width)[0]
			} else {
				s.next = p.firstKey(i, g+1)
			}
			p.attention.mix(s, out[g*shared*width:][:shared*width], scores[at-first:], f.row.piece(values, at, width))
		}
	}
}

// firstKey is what attention reads after the groups below g of row i.
func (p *pass) firstKey(i, g int) *float32 {
	if g == p.pool.shape.heads {
		g, i = 0, min(i+1, len(p.feeds)-1)
	}
	f := &p.feeds[i]
	return &f.row.piece(p.pool.shape.keys(p.layer, g), p.firstSeen(f.at), p.pool.shape.width)[0]
}

// piece is the keys or values, which begin at the given place of a block, from a position to the end of its block.
func (c *cached) piece(place, position, width int) []float32 {
	data, slot := c.blocks[position/blockLen].data, position%blockLen
	return data[place+slot*width : place+blockLen*width]
}

// roundUp is n rounded up to whole registers.
func roundUp(n int) int { return (n + 15) &^ 15 }
