package decode

import (
	"math"

	"github.com/hone-rl/hone/policy/kernel"
)

// attention is the two sums over positions that a query needs. No slice is empty.
type attention struct {
	// scores writes scores[t] = scale * (query . keys[t]): scores is [n], query [C], keys [n, C] or longer.
	scores func(scores, query, keys []float32, scale float32)
	// mix adds the sum of weights[t] * values[t] to out: weights is [n], out [C], values [n, C] or longer.
	mix func(out, weights, values []float32)
}

// plainAttention takes the sums one position at a time.
func plainAttention(set *kernel.Set) attention {
	return attention{
		scores: func(scores, query, keys []float32, scale float32) {
			for t := range scores {
				scores[t] = scale * set.Dot(query, keys[t*len(query):(t+1)*len(query)])
			}
		},
		mix: func(out, weights, values []float32) {
			for t, weight := range weights {
				set.Axpy(weight, values[t*len(out):(t+1)*len(out)], out)
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
	scale := float32(1 / math.Sqrt(float64(width)))
	out := w.mixed[i*e.config.Width : (i+1)*e.config.Width]
	clear(out)
	for g := range shape.heads {
		queries := w.qkv[i*e.qkvWidth()+g*shared*width:][:shared*width]
		mixed := out[g*shared*width:][:shared*width]
		for from := first; from < length; from += blockLen - from%blockLen {
			to := min(from-from%blockLen+blockLen, length)
			keys := f.row.blocks[from/blockLen].data[shape.keys(layer, g):][from%blockLen*width : shape.piece()]
			for h := range shared {
				e.attention.scores(w.scores[h*length+from:h*length+to], queries[h*width:(h+1)*width], keys, scale)
			}
		}
		for h := range shared {
			e.set.Softmax(w.scores[h*length+first : (h+1)*length])
		}
		for from := first; from < length; from += blockLen - from%blockLen {
			to := min(from-from%blockLen+blockLen, length)
			values := f.row.blocks[from/blockLen].data[shape.values(layer, g):][from%blockLen*width : shape.piece()]
			for h := range shared {
				e.attention.mix(mixed[h*width:(h+1)*width], w.scores[h*length+from:h*length+to], values)
			}
		}
	}
}
