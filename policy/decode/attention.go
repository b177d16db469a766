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

// store rotates the queries and the key of row i to the feed's position, and writes key and value to the cache.
func (w *worker) store(layer, i int, f feed) {
	e := w.engine
	shape, width := e.pool.shape, e.qkvWidth()
	row := w.qkv[i*width : (i+1)*width]
	queries, keys := e.config.Width, shape.heads*shape.width
	e.rotary.Rotate(row[:queries+keys], f.at)
	block, slot := f.row.blocks[f.at/blockLen].data, f.at%blockLen*shape.width
	for g := range shape.heads {
		key := row[queries+g*shape.width:]
		value := row[queries+keys+g*shape.width:]
		copy(block[shape.keys(layer, g)+slot:][:shape.width], key)
		copy(block[shape.values(layer, g)+slot:][:shape.width], value)
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
// start up to the feed itself. Heads that share a key head are taken together, block by block, while the block is at hand.
// Vaswani et al. 2017, arXiv:1706.03762, eq. 1; Ainslie et al. 2023, arXiv:2305.13245.
func (w *worker) attend(layer, i int, f feed) {
	e := w.engine
	shape, width := e.pool.shape, e.pool.shape.width
	length, first, shared := f.at+1, e.firstSeen(f.at), e.config.Heads/e.config.KVHeads
	s := sums{heads: shared, width: width, stride: length, scale: float32(1 / math.Sqrt(float64(width)))}
	out := w.mixed[i*e.config.Width : (i+1)*e.config.Width]
	clear(out)
	for g := range shape.heads {
		queries := w.qkv[i*e.qkvWidth()+g*shared*width:][:shared*width]
		for from := first; from < length; from += s.positions {
			slot := from % blockLen
			s.positions = min(blockLen-slot, length-from)
			keys := f.row.blocks[from/blockLen].data[shape.keys(layer, g):][slot*width : shape.piece()]
			e.attention.scores(s, w.scores[from:], queries, keys)
		}
		for h := range shared {
			e.set.Softmax(w.scores[h*length+first : (h+1)*length])
		}
		for from := first; from < length; from += s.positions {
			slot := from % blockLen
			s.positions = min(blockLen-slot, length-from)
			values := f.row.blocks[from/blockLen].data[shape.values(layer, g):][slot*width : shape.piece()]
			e.attention.mix(s, out[g*shared*width:][:shared*width], w.scores[from:], values)
		}
	}
}
